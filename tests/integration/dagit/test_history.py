"""What the routes read from tables that the event store made and filled."""

import json

import asyncpg
import httpx
import pytest
import pytest_asyncio
from dagwire_shared import events
from dagwire_shared.ids import run_id_for, schedule_id_for
from support.dagitstack import Stack
from support.eventstore import NOON, connected, history, log_messages, message

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEDULE = schedule_id_for("code", "main", "nightly")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(stack: Stack) -> Stack:
    """Three runs and two ticks, and a run whose first event is missing."""
    for number, key in enumerate(["first", "second", "third"]):
        await stack.bus.streams.publish_all(history(key, failed=number == 1))
    names = {"location": "code", "repository": "main", "schedule": "nightly"}
    for day, event in enumerate(
        [
            events.TickRequested(**names, nominal_time=NOON.replace(day=1), run_ids=[run_id_for("first")]),
            events.TickSkipped(**names, nominal_time=NOON.replace(day=2), reason="holiday"),
        ]
    ):
        await stack.bus.streams.publish(message(event, aggregate=SCHEDULE, number=f"tick-{day}"))
    await stack.bus.streams.publish_all(log_messages(2, key="orphan"))
    await stack.stored()
    return stack


@pytest.fixture
def client(stored: Stack) -> httpx.AsyncClient:
    return stored.client


async def test_runs_are_listed_newest_first_and_paged(client):
    page = (await client.get("/api/v1/runs?limit=2")).json()
    assert [run["key"] for run in page["runs"]] == ["third", "second"]
    rest = (await client.get("/api/v1/runs", params={"limit": 2, "before": page["next"]})).json()
    assert [run["key"] for run in rest["runs"]] == ["first"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("status=FAILURE", ["second"]),
        ("status=FAILURE&status=SUCCESS", ["third", "second", "first"]),
        ("status=QUEUED", []),
        ("location=weather&repository=weather&job=daily", ["third", "second", "first"]),
        ("location=other", []),
        ("job=other", []),
        ("tag=team=a", ["third", "second", "first"]),
        ("tag=team=b", []),
        ("tag=team=a&tag=x=y", []),
        ("schedule=nightly", []),
        ("requested_by=api", ["third", "second", "first"]),
        ("requested_by=schedule", []),
    ],
)
async def test_runs_are_filtered(client, query: str, keys: list[str]):
    assert [run["key"] for run in (await client.get(f"/api/v1/runs?{query}")).json()["runs"]] == keys


async def test_a_run_is_shown_with_its_steps(client):
    run = (await client.get(f"/api/v1/runs/{run_id_for('second')}")).json()
    assert (run["status"], run["cause"], run["message"]) == ("FAILURE", "step_failed", "1 step failed")
    assert [(step["key"], step["status"], step["depends_on"]) for step in run["steps"]] == [
        ("load", "SUCCESS", []),
        ("save", "FAILURE", ["load"]),
    ]
    assert run["steps"][1]["error"]["message"] == "bad row"
    assert (run["executor"], run["resolved_config"], run["tags"]) == ("in_process", {"ops": {}}, {"team": "a"})
    assert run["requested_by"] == {"kind": "api", "name": "test"}


async def test_a_runs_events_are_paged_as_they_were_received(client):
    path = f"/api/v1/runs/{run_id_for('first')}/events"
    seen, after = [], None
    while True:
        page = (await client.get(path, params={"limit": 4} | ({"after": after} if after else {}))).json()
        seen += page["events"]
        after = page["next"]
        if after is None:
            break
    assert [one["event"] for one in seen] == [json.loads(sent.body) for sent in history("first")]


async def test_a_runs_events_are_filtered_by_kind_and_level(client):
    path = f"/api/v1/runs/{run_id_for('first')}/events"
    kinds = (await client.get(path, params={"kind": ["launch", "step"]})).json()["events"]
    assert {one["event"]["type"].split(".")[1] for one in kinds} == {"run", "step"}
    lines = (await client.get(path, params={"level": "INFO"})).json()["events"]
    assert [one["event"]["data"]["message"] for one in lines] == ["line 0", "line 1", "line 2"]
    assert not (await client.get(path, params={"level": "ERROR"})).json()["events"]


async def test_ticks_are_listed_and_the_newest_is_with_its_schedule(client):
    ticks = (await client.get("/api/v1/schedules/code/main/nightly/ticks")).json()["ticks"]
    assert [(tick["status"], tick["reason"]) for tick in ticks] == [("SKIPPED", "holiday"), ("REQUESTED", None)]
    assert ticks[1]["run_ids"] == [run_id_for("first")]
    (schedule,) = (await client.get("/api/v1/schedules")).json()
    assert schedule["last_tick"]["status"] == "SKIPPED"
    path = "/api/v1/schedules/code/main/nightly/ticks?before=2026-11-02T12:00:00Z"
    older = (await client.get(path)).json()
    assert [tick["status"] for tick in older["ticks"]] == ["REQUESTED"]


async def test_assets_are_listed_with_their_newest_materialization(client):
    (asset,) = (await client.get("/api/v1/assets")).json()
    assert (asset["asset_key"], asset["run_id"]) == (["weather", "daily"], run_id_for("third"))


async def test_what_looks_like_sql_is_only_a_value(client):
    for query in ({"tag": "team=a' OR 1=1 --"}, {"tag": "x'; DROP TABLE runs; --=1"}):
        assert (await client.get("/api/v1/runs", params=query)).json()["runs"] == []
    assert len((await client.get("/api/v1/runs")).json()["runs"]) == 3


async def test_dagit_cannot_write_to_the_database(stored):
    async with connected(stored.database.reader_url) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM runs")


async def test_a_run_without_its_first_event_is_not_shown(client):
    assert len((await client.get("/api/v1/runs")).json()["runs"]) == 3
    assert (await client.get(f"/api/v1/runs/{run_id_for('orphan')}")).json()["code"] == "run_unknown"
    assert (await client.get(f"/api/v1/runs/{run_id_for('orphan')}/events")).json()["events"]
