import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_dagit.models import Tick, TickStatus
from dagwire_shared.ids import schedule_id_for
from dagwire_shared.records import ScheduleSwitch, switch_key
from support.dagit import AT, a_location, read_frames

JSON = {"Content-Type": "application/json"}
DAILY = "/api/v1/schedules/weather/weather/daily"
ID = schedule_id_for("weather", "weather", "daily")


def a_tick(days: int) -> Tick:
    return Tick(
        nominal_time=AT - timedelta(days=days),
        status=TickStatus.REQUESTED,
        run_ids=[],
        reason=None,
        missed=False,
        error=None,
    )


async def test_a_schedule_is_as_its_code_says_until_somebody_switches_it(dagit):
    (schedule,) = (await dagit.client.get("/api/v1/schedules")).json()
    assert (schedule["status"], schedule["default_status"], schedule["next_tick"]) == ("STOPPED", "STOPPED", None)
    assert (schedule["schedule_id"], schedule["job"], schedule["preset"]) == (ID, "report", "small")


async def test_starting_writes_a_switch_and_tells_the_next_tick(dagit):
    answer = await dagit.client.post(f"{DAILY}/start", headers={**JSON, "X-Dagwire-Client": "ui"})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["next_tick"]) == ("RUNNING", "2026-11-02T05:00:00Z")
    entry = await dagit.bus.state.get(switch_key(ID))
    assert ScheduleSwitch.model_validate_json(entry.value).model_dump(exclude={"at"}) == {
        "location": "weather",
        "repository": "weather",
        "schedule": "daily",
        "status": "running",
        "by": "ui",
    }
    (listed,) = (await dagit.client.get("/api/v1/schedules")).json()
    assert listed["status"] == "RUNNING"


async def test_switching_to_what_it_is_writes_nothing(dagit):
    await dagit.client.post(f"{DAILY}/stop", headers=JSON)
    before = await dagit.bus.state.get(switch_key(ID))
    assert (await dagit.client.post(f"{DAILY}/stop", headers=JSON)).json()["status"] == "STOPPED"
    assert (await dagit.bus.state.get(switch_key(ID))).revision == before.revision


async def test_two_who_switch_differently_at_once_do_not_both_win_unnoticed(dagit, monkeypatch):
    get = dagit.bus.state.get

    async def slow(key: str):
        entry = await get(key)
        await asyncio.sleep(0.01)
        return entry

    monkeypatch.setattr(dagit.bus.state, "get", slow)
    answers = await asyncio.gather(*(dagit.client.post(f"{DAILY}/{what}", headers=JSON) for what in ("start", "stop")))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (refused,) = [answer for answer in answers if answer.status_code == 409]
    assert refused.json()["code"] == "switch_conflict"


async def test_two_who_switch_alike_at_once_both_succeed(dagit):
    answers = await asyncio.gather(*(dagit.client.post(f"{DAILY}/start", headers=JSON) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_switch_by_another_replica_is_seen_and_told_to_clients(dagit):
    feed = dagit.services.feed(run=None, kinds=(), after=None)
    sent: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(message) -> None:
        if message["type"] == "http.response.body":
            await sent.put(message["body"])

    streaming = asyncio.create_task(feed({"type": "http"}, asyncio.Event().wait, send))
    while b"caught-up" not in await sent.get():
        pass
    switch = ScheduleSwitch(
        location="weather", repository="weather", schedule="daily", status="running", by="cli", at=AT
    )
    await dagit.bus.state.put(switch_key(ID), switch.model_dump_json().encode())
    ((name, cursor, schedule),) = read_frames(await asyncio.wait_for(sent.get(), 5))
    assert (name, cursor, schedule["status"]) == ("schedule", None, "RUNNING")
    dagit.locations.change(a_location(definitions_hash="1e" * 32))
    ((name, cursor, location),) = read_frames(await asyncio.wait_for(sent.get(), 5))
    assert (name, cursor, location["definitions_hash"]) == ("location", None, "1e" * 32)
    streaming.cancel()


async def test_switching_works_while_the_history_is_away_and_listing_says_so(dagit):
    dagit.store.away = True
    answer = await dagit.client.post(f"{DAILY}/start", headers=JSON)
    assert (answer.status_code, answer.json()["last_tick"]) == (200, None)
    answer = await dagit.client.get("/api/v1/schedules")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


async def test_the_last_tick_is_shown(dagit):
    dagit.store.shown_ticks[ID] = [a_tick(1), a_tick(2)]
    (schedule,) = (await dagit.client.get("/api/v1/schedules")).json()
    assert datetime.fromisoformat(schedule["last_tick"]["nominal_time"]) == AT - timedelta(days=1)


async def test_ticks_are_paged(dagit):
    dagit.store.shown_ticks[ID] = [a_tick(1), a_tick(2)]
    page = (await dagit.client.get(f"{DAILY}/ticks?limit=2")).json()
    assert len(page["ticks"]) == 2
    assert datetime.fromisoformat(page["next"]) == AT - timedelta(days=2)
    assert (await dagit.client.get(f"{DAILY}/ticks", params={"limit": 2, "before": page["next"]})).status_code == 200
    assert (await dagit.client.get(f"{DAILY}/ticks?limit=3")).json()["next"] is None


async def test_a_time_without_an_offset_is_refused(dagit):
    answer = await dagit.client.get(f"{DAILY}/ticks?before=2026-11-01T00:00:00")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("path", ["ticks", "preview"])
async def test_a_schedule_that_does_not_exist_is_unknown(dagit, path: str):
    answer = await dagit.client.get(f"/api/v1/schedules/weather/weather/other/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "schedule_unknown")


async def test_the_preview_follows_the_cron_rule_in_its_zone(dagit):
    preview = (await dagit.client.get(f"{DAILY}/preview?count=2")).json()
    times = [datetime.fromisoformat(tick) for tick in preview["ticks"]]
    assert times == [datetime(2026, 11, 2, 5, tzinfo=UTC), datetime(2026, 11, 3, 5, tzinfo=UTC)]


async def test_a_switch_that_nobody_can_read_is_as_good_as_none(dagit):
    await dagit.bus.state.put(switch_key(ID), b"nonsense")
    await asyncio.sleep(0.01)
    assert (await dagit.client.get("/api/v1/schedules")).json()[0]["status"] == "STOPPED"
    assert (await dagit.client.post(f"{DAILY}/start", headers=JSON)).json()["status"] == "RUNNING"


async def test_a_switch_that_is_deleted_gives_the_word_back_to_the_code(dagit):
    await dagit.client.post(f"{DAILY}/start", headers=JSON)
    await dagit.bus.state.delete(switch_key(ID))
    await asyncio.sleep(0.01)
    assert (await dagit.client.get("/api/v1/schedules")).json()[0]["status"] == "STOPPED"
