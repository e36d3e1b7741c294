import asyncio
import json

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.envelope import decode
from dagwire_shared.events import RunLaunched, RunSucceeded
from dagwire_shared.ids import run_id_for
from dagwire_shared.locations import InvalidRequestError, LocationUnavailableError
from dagwire_shared.locations.errors import CodeServerError
from dagwire_shared.locations.state import Status
from dagwire_shared.streams import CONTROL, REQUESTS
from dagwire_shared.subjects import control_subject
from support.dagit import AT, JOB, a_location, a_run, an_event, queued

LAUNCH = {"location": "weather", "repository": "weather", "job": "report", "preset": "small"}


async def _requests(dagit) -> list:
    return [decode(one.body).command for one in dagit.bus.broker.logs[REQUESTS.name].messages.values()]


async def test_a_launch_is_accepted_when_the_stream_holds_the_request(dagit):
    body = {**LAUNCH, "run_config": {"ops": {}}, "tags": {"why": "test"}}
    answer = await dagit.client.post(
        "/api/v1/runs", json=body, headers={"Idempotency-Key": "k1", "X-Dagwire-Client": "ui"}
    )
    assert answer.status_code == 202
    assert answer.json() == {"run_id": run_id_for("k1"), "key": "k1", "duplicate": False}
    (request,) = await _requests(dagit)
    assert (request.key, request.key_time, request.job, request.preset) == ("k1", AT, "report", "small")
    assert request.run_config == {"ops": {}}
    assert request.requested_by.kind == "ui"
    assert request.origin.image == "example/weather:1"
    assert request.origin.definitions_hash == "0f" * 32


async def test_tags_of_the_job_and_the_preset_are_under_those_of_the_request(dagit):
    await dagit.client.post("/api/v1/runs", json={**LAUNCH, "tags": {"team": "sea"}})
    (request,) = await _requests(dagit)
    assert request.tags == {"team": "sea", "size": "s"}


async def test_without_a_key_each_launch_is_a_run_of_its_own(dagit):
    answers = [(await dagit.client.post("/api/v1/runs", json=LAUNCH)).json() for _ in range(2)]
    assert answers[0]["run_id"] != answers[1]["run_id"]
    assert answers[0]["run_id"] == run_id_for(answers[0]["key"])


async def test_the_same_key_a_hundred_times_at_once_is_one_run(dagit):
    headers = {"Idempotency-Key": "same"}
    posts = (dagit.client.post("/api/v1/runs", json=LAUNCH, headers=headers) for _ in range(100))
    answers = [answer.json() for answer in await asyncio.gather(*posts)]
    assert {answer["run_id"] for answer in answers} == {run_id_for("same")}
    assert sum(not answer["duplicate"] for answer in answers) == 1
    assert len(await _requests(dagit)) == 1


async def test_a_key_that_the_stream_has_forgotten_is_known_to_the_history(dagit):
    dagit.store.known[run_id_for("old")] = object()
    answer = await dagit.client.post("/api/v1/runs", json=LAUNCH, headers={"Idempotency-Key": "old"})
    assert answer.json() == {"run_id": run_id_for("old"), "key": "old", "duplicate": True}
    assert not await _requests(dagit)


async def test_a_key_without_its_time_is_not_accepted_while_the_history_is_away(dagit):
    dagit.store.away = True
    answer = await dagit.client.post("/api/v1/runs", json=LAUNCH, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"]


async def test_launching_needs_no_history_with_a_fresh_key_or_the_keys_time(dagit):
    dagit.store.away = True
    assert (await dagit.client.post("/api/v1/runs", json=LAUNCH)).status_code == 202
    headers = {"Idempotency-Key": "k", "Idempotency-Key-Time": "2026-11-01T10:00:00+01:00"}
    answer = await dagit.client.post("/api/v1/runs", json=LAUNCH, headers=headers)
    assert answer.status_code == 202
    assert (await _requests(dagit))[-1].key_time.isoformat() == "2026-11-01T09:00:00+00:00"


async def test_a_wrong_run_config_is_refused_with_each_place(dagit):
    error = pb.ConfigError(path=["ops", "load", "config", "limit"], message="must be an integer")
    dagit.locations.answer = pb.ValidateRunConfigResponse(errors=[error])
    answer = await dagit.client.post("/api/v1/runs", json=LAUNCH)
    assert (answer.status_code, answer.json()["code"]) == (422, "config_invalid")
    assert answer.json()["details"] == [{"path": ["ops", "load", "config", "limit"], "message": "must be an integer"}]
    assert not await _requests(dagit)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"location": "nowhere"}, "location_unknown"),
        ({"repository": "other"}, "repository_unknown"),
        ({"job": "other"}, "job_unknown"),
        ({"job": "other", "repository": None}, "job_unknown"),
    ],
)
async def test_what_does_not_exist_cannot_be_launched(dagit, change: dict, code: str):
    answer = await dagit.client.post("/api/v1/runs", json={**LAUNCH, **change})
    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_the_repository_may_be_left_out_when_only_one_has_the_job(dagit):
    body = {key: value for key, value in LAUNCH.items() if key != "repository"}
    assert (await dagit.client.post("/api/v1/runs", json=body)).status_code == 202
    assert (await _requests(dagit))[0].repository == "weather"
    both = {name: pb.Repository(name=name, jobs=[JOB]) for name in ("weather", "climate")}
    dagit.locations.change(a_location(repositories=both))
    answer = await dagit.client.post("/api/v1/runs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "repository_unknown")
    assert "weather, climate" in answer.json()["message"]


async def test_a_location_that_never_loaded_is_unavailable(dagit):
    dagit.locations.change(a_location(status=Status.FAILED, definitions_hash=None, repositories={}))
    answer = await dagit.client.post("/api/v1/runs", json=LAUNCH)
    assert (answer.status_code, answer.json()["code"]) == (503, "location_unavailable")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (LocationUnavailableError("away"), 503, "location_unavailable"),
        (InvalidRequestError("no such preset"), 422, "config_invalid"),
        (CodeServerError("broke"), 502, "location_failed"),
    ],
)
async def test_a_code_server_that_does_not_judge_lets_nothing_pass(dagit, error: Exception, status: int, code: str):
    dagit.locations.answer = error
    answer = await dagit.client.post("/api/v1/runs", json=LAUNCH)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not await _requests(dagit)


async def test_a_bus_that_is_away_is_an_answer_that_says_when_to_try_again(dagit, monkeypatch):
    monkeypatch.setattr(dagit.services.launches, "_deadline", dagit.services.launches._deadline * 0)
    dagit.bus.broker.online = False
    answer = await dagit.client.post("/api/v1/runs", json=LAUNCH)
    assert (answer.status_code, answer.json()["code"]) == (503, "bus_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"location": "../etc"}, ["body", "location"]),
        ({"job": "a.b"}, ["body", "job"]),
        ({"job": None}, ["body", "job"]),
        ({"tags": {"k": "v" * 257}}, ["body", "tags", "k"]),
        ({"tags": {str(n): "" for n in range(65)}}, ["body", "tags"]),
        ({"typo": 1}, ["body", "typo"]),
        ({"run_config": []}, ["body", "run_config"]),
        ({"run_config": json.loads('{"a":' * 65 + "1" + "}" * 65)}, ["body", "run_config"]),
    ],
)
async def test_a_wrong_field_is_refused_with_its_place(dagit, change: dict, place: list[str]):
    answer = await dagit.client.post("/api/v1/runs", json={**LAUNCH, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [detail["path"] for detail in answer.json()["details"]] == [place]


@pytest.mark.parametrize("key", [b"x" * 513, b"a\x7fb", b"", "café".encode(), b"caf\xe9"])
async def test_a_wrong_key_is_refused(dagit, key: bytes):
    answer = await dagit.client.post("/api/v1/runs", json=LAUNCH, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["details"][0]["path"] == ["header", "idempotency-key"]


async def test_what_cannot_be_read_as_json_is_refused(dagit):
    for body in (b"{", b"[" * 100_000, b"\xff"):
        answer = await dagit.client.post("/api/v1/runs", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, body[:10]
        assert answer.json()["code"] == "invalid_request"


# --- cancelling -------------------------------------------------------------------------------------------------------

JSON = {"Content-Type": "application/json"}


async def _order(dagit):
    return await dagit.bus.streams.last(CONTROL, control_subject(a_run()))


async def test_cancelling_puts_an_order_on_the_bus(dagit):
    await dagit.bus.streams.publish(queued(a_run()))
    answer = await dagit.client.post(f"/api/v1/runs/{a_run()}/cancel", headers={**JSON, "X-Dagwire-Client": "cli"})
    assert (answer.status_code, answer.json()) == (202, {"run_id": a_run()})
    order = decode((await _order(dagit)).body).command
    assert (order.run_id, order.requested_by.kind) == (a_run(), "cli")


async def test_a_run_that_has_ended_cannot_be_cancelled(dagit):
    for message in [
        queued(a_run()),
        an_event(a_run(), RunLaunched(backend="process", worker="1"), number="launched"),
        an_event(a_run(), RunSucceeded(seconds=1), number="1:9"),
    ]:
        await dagit.bus.streams.publish(message)
    answer = await dagit.client.post(f"/api/v1/runs/{a_run()}/cancel", headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (409, "run_ended")
    assert await _order(dagit) is None


async def test_a_run_that_nobody_knows_cannot_be_cancelled(dagit):
    answer = await dagit.client.post(f"/api/v1/runs/{a_run()}/cancel", headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (404, "run_unknown")


async def test_cancelling_works_while_the_history_is_away(dagit):
    dagit.store.away = True
    answer = await dagit.client.post(f"/api/v1/runs/{a_run()}/cancel", headers=JSON)
    assert answer.status_code == 202
    assert await _order(dagit) is not None


# --- reading one's own launch -----------------------------------------------------------------------------------------


async def test_a_run_is_known_from_its_first_event_on_before_it_is_stored(dagit):
    assert (await dagit.client.get(f"/api/v1/runs/{a_run()}")).json()["code"] == "run_unknown"
    await dagit.bus.streams.publish(queued(a_run()))
    await asyncio.sleep(0.01)
    found = (await dagit.client.get(f"/api/v1/runs/{a_run()}")).json()
    assert (found["status"], found["job"], found["steps"]) == ("QUEUED", "report", [])
    await dagit.bus.streams.publish(an_event(a_run(), RunLaunched(backend="process", worker="1"), number="launched"))
    await asyncio.sleep(0.01)
    assert (await dagit.client.get(f"/api/v1/runs/{a_run()}")).json()["status"] == "STARTING"
