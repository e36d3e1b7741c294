"""Standalone end to end: what a browser sees is what PostgreSQL holds, whatever dies meanwhile."""

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from dagwire_shared.bus import Message
from dagwire_shared.errors import PermissionDeniedError
from dagwire_shared.ids import run_id_for
from dagwire_shared.jetstream import connect
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import Kind, event_subject, request_subject
from support.standalone import Standalone, feed, follow_to_end, wait_until

REPO = Path(__file__).parent / "repo.py"
pytestmark = [pytest.mark.xdist_group("standalone"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def dagwire(module_data_directory):
    standalone = Standalone(module_data_directory, "-f", str(REPO))
    standalone.start()
    yield standalone
    standalone.stop()
    for log in (module_data_directory / "logs").glob("*.log"):  # after all that the tests of this module did
        assert "permission denied" not in log.read_text(), log.name


@pytest.fixture
def client(dagwire):
    with dagwire.client() as client:
        yield client


def launch(client, job="chatty", config=None, key=None) -> str:
    body = {"location": "e2e", "repository": "e2e", "job": job, "run_config": config or {}}
    answer = client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 202, answer.text
    return answer.json()["run_id"]


def gate(tmp_path):
    return {"ops": {"wait_at_gate": {"config": {"directory": str(tmp_path)}}}}


def assert_history_is_what_the_feed_showed(dagwire, run_id, seen):
    live = [(int(cursor.split("-")[1]), event["id"]) for cursor, event in seen]
    assert len({event_id for _, event_id in live}) == len(live), "an event was shown twice"
    assert live == sorted(live), "events were shown out of order"
    wait_until(lambda: len(dagwire.stored_events(run_id)) >= len(live))
    assert dagwire.stored_events(run_id) == live


def test_a_run_launched_over_http_is_shown_live_and_stored_alike(dagwire, client):
    run_id = launch(client, config={"ops": {"begin": {"config": {"count": 2000}}}})
    status, seen = follow_to_end(client, run_id)
    assert status == "SUCCESS"
    assert_history_is_what_the_feed_showed(dagwire, run_id, seen)
    messages = [event["data"]["message"] for _, event in seen if event["type"] == "dagwire.log.written"]
    assert messages == [f"line {number}" for number in range(2000)]
    run = wait_until(lambda: (found := client.get(f"/api/v1/runs/{run_id}").json())["status"] == "SUCCESS" and found)
    assert [step["status"] for step in run["steps"]] == ["SUCCESS", "SUCCESS"]


def test_a_feed_resumed_at_any_cursor_continues_without_gap_or_repeat(dagwire, client):
    run_id = launch(client, config={"ops": {"begin": {"config": {"count": 50}}}})
    _, seen = follow_to_end(client, run_id)
    for position in range(0, len(seen) - 1, 7):
        rest = []
        for item in feed(client, run_id, last_event_id=seen[position][0]):
            rest.append(item)
            if len(rest) == len(seen) - position - 1:
                break
        assert rest == seen[position + 1 :]


@pytest.mark.parametrize("part", ["dagwire_eventstore", "nats-server", "dagwire_launcher", "dagwire_dagit"])
def test_a_run_completes_and_is_told_in_full_though_a_part_is_killed_in_its_middle(dagwire, client, tmp_path, part):
    run_id = launch(client, "gated", gate(tmp_path))
    wait_until((tmp_path / "waiting").exists)
    dead = dagwire.kill_part(part)
    wait_until(lambda: any(pid != dead for pid in dagwire.pids(part)))
    (tmp_path / "open").touch()
    status, seen = follow_to_end(client, run_id)
    assert status == "SUCCESS"
    assert_history_is_what_the_feed_showed(dagwire, run_id, seen)
    numbers = [event["data"]["message"] for _, event in seen if event["type"] == "dagwire.log.written"]
    assert numbers == [f"waiting {number}" for number in range(len(numbers))]


def test_a_hundred_identical_requests_from_ten_clients_make_one_run(dagwire, client):
    with ThreadPoolExecutor(10) as pool:
        run_ids = list(pool.map(lambda _: launch(client, key="one-and-only"), range(100)))
    assert len(set(run_ids)) == 1
    status, seen = follow_to_end(client, run_ids[0])
    assert status == "SUCCESS"
    assert [event["type"] for _, event in seen].count("dagwire.run.started") == 1
    assert_history_is_what_the_feed_showed(dagwire, run_ids[0], seen)


def test_a_run_whose_worker_is_killed_is_lost_with_the_cause(dagwire, client, tmp_path):
    run_id = launch(client, "gated", gate(tmp_path))
    wait_until((tmp_path / "waiting").exists)
    started = next(event for _, event in feed(client, run_id) if event["type"] == "dagwire.run.started")
    os.kill(started["data"]["pid"], signal.SIGKILL)
    status, seen = follow_to_end(client, run_id)
    assert status == "FAILURE"
    assert seen[-1][1]["data"]["cause"] == "worker_lost"
    assert "SIGKILL" in seen[-1][1]["data"]["message"] or "signal 9" in seen[-1][1]["data"]["message"]


def test_user_code_cannot_speak_for_another_run_and_its_credential_dies_with_the_run(dagwire, client, tmp_path):
    run_id = launch(client, "gated", gate(tmp_path))
    wait_until((tmp_path / "waiting").exists)
    started = next(event for _, event in feed(client, run_id) if event["type"] == "dagwire.run.started")
    environment = dict(psutil.Process(started["data"]["pid"]).environ())
    credential = (environment["DAGWIRE_WORKER_NATS_URL"], environment["DAGWIRE_WORKER_INBOX_PREFIX"])
    asyncio.run(look_around(*credential, run_id))
    os.kill(started["data"]["pid"], signal.SIGKILL)
    status, seen = follow_to_end(client, run_id)
    assert (status, seen[-1][1]["type"]) == ("FAILURE", "dagwire.run.lost")
    assert [event["type"] for _, event in seen].count("dagwire.run.started") == 1
    with pytest.raises(PermissionDeniedError):
        asyncio.run(look_around(*credential, run_id))


async def look_around(nats_url, inbox_prefix, run_id):
    """Do what the credential of a run allows, and try what it does not."""
    other = run_id_for("another")
    async with connect(nats_url, name="curious", inbox_prefix=inbox_prefix) as bus:
        assert await bus.streams.last(EVENTS, event_subject(run_id, Kind.RUN)) is not None
        for subject in (event_subject(other, Kind.RUN), event_subject(run_id, Kind.LAUNCH), request_subject("x")):
            with pytest.raises(PermissionDeniedError):
                await bus.streams.publish(Message(subject, b"{}", "x"))


def test_a_running_run_can_be_cancelled(dagwire, client, tmp_path):
    run_id = launch(client, "gated", gate(tmp_path))
    wait_until((tmp_path / "waiting").exists)
    assert client.post(f"/api/v1/runs/{run_id}/cancel", json={}).status_code == 202
    assert follow_to_end(client, run_id)[0] == "CANCELED"


@pytest.fixture
def second_scheduler(dagwire):
    settings = {
        "DAGWIRE_SCHEDULER_NATS_URL": dagwire.nats_url_of("scheduler"),
        "DAGWIRE_SCHEDULER_WORKSPACE": str(dagwire.directory / "workspace.yaml"),
    }
    process = subprocess.Popen([sys.executable, "-m", "dagwire_scheduler"], env={**os.environ, **settings})
    yield process
    process.terminate()
    process.wait(10)


def test_a_schedule_launches_each_tick_once_though_two_schedulers_run(dagwire, client, second_scheduler):
    schedule = "/api/v1/schedules/e2e/e2e/every_second"
    assert client.post(f"{schedule}/start", json={}).json()["status"] == "RUNNING"
    try:
        wait_until(lambda: len(client.get(f"{schedule}/ticks").json()["ticks"]) >= 5)
    finally:
        assert client.post(f"{schedule}/stop", json={}).json()["status"] == "STOPPED"
    ticks = client.get(f"{schedule}/ticks").json()["ticks"]
    assert {tick["status"] for tick in ticks} == {"REQUESTED"}
    assert len({tick["nominal_time"] for tick in ticks}) == len(ticks)
    run_ids = [run_id for tick in ticks for run_id in tick["run_ids"]]
    assert len(run_ids) == len(ticks) == len(set(run_ids))
    for run_id in run_ids:
        status, seen = follow_to_end(client, run_id)
        assert status == "SUCCESS"
        assert [event["type"] for _, event in seen].count("dagwire.run.started") == 1
    scheduled = client.get("/api/v1/runs", params={"schedule": "every_second", "limit": 100}).json()["runs"]
    assert {run["run_id"] for run in scheduled} >= set(run_ids)


def test_ctrl_c_stops_every_process_and_the_next_start_finds_the_history(data_directory):
    standalone = Standalone(data_directory, "-f", str(REPO), "--first-run", "chatty")
    standalone.start()
    assert "chatty succeeded" in standalone.output
    with standalone.client() as client:
        (before,) = wait_until(
            lambda: [run for run in client.get("/api/v1/runs").json()["runs"] if run["status"] == "SUCCESS"]
        )
        processes = psutil.Process(standalone.pid).children(recursive=True)
    assert standalone.stop() == 0
    assert not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    standalone.start()
    with standalone.client() as client:
        (after,) = client.get("/api/v1/runs").json()["runs"]
    assert after == before
    standalone.stop()


def test_a_killed_instance_leaves_nothing_that_stops_the_next(data_directory):
    standalone = Standalone(data_directory, "-f", str(REPO))
    standalone.start()
    with standalone.client() as client:
        run_id = launch(client)
        follow_to_end(client, run_id)
    standalone.kill()
    standalone.start()
    with standalone.client() as client:
        wait_until(lambda: client.get(f"/api/v1/runs/{run_id}").json()["status"] == "SUCCESS")
    standalone.stop()
