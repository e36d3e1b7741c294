"""The live feed against the table: same events, same order, none twice, none missing, whatever fails meanwhile."""

import asyncio
import re
import signal
import socket
import time

import pytest
from dagwire_shared.ids import run_id_for, schedule_id_for
from dagwire_shared.jetstream import provision
from dagwire_shared.records import ScheduleSwitch, switch_key
from dagwire_shared.streams import EVENTS, REQUESTS
from support.codeservers import a_repository, a_schedule
from support.dagitstack import Stack, following, running_stack
from support.eventstore import NOON, history, log_messages
from support.proxy import proxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = 1
"""A port on which nobody listens."""


async def same_as_table(stack: Stack, follower, run: str, count: int) -> None:
    """Wait for so many events on the feed, then compare them with the table."""
    await follower.until(lambda one: len(one.seen) >= count)
    await stack.stored()
    assert follower.seen == await stack.table(run)


async def test_a_run_is_followed_from_its_first_event_to_its_last(stack):
    run = run_id_for("live")
    async with following(stack.dagit, run=run) as follower:
        ids = await stack.publish("live", logs=500)
        await same_as_table(stack, follower, run, len(ids))
        assert [one for _, one in follower.seen] == ids
        assert follower.connections == 1


async def test_a_client_resumes_at_every_position(stack):
    run = run_id_for("positions")
    await stack.publish("positions", logs=20)
    await stack.stored()
    table = await stack.table(run)

    async def rest(position: int) -> list[tuple[str, str]]:
        async with following(stack.dagit, run=run, last=table[position][0]) as follower:
            await follower.until(lambda one: one.told)
            return follower.seen

    for position in range(len(table)):
        assert await rest(position) == table[position + 1 :]


async def test_a_replica_that_knows_nothing_yet_gives_the_same_sequence(stack):
    run = run_id_for("replica")
    ids = await stack.publish("replica", logs=50)
    other = stack.another_dagit(ring_bytes=str(2**20))
    await other.start()
    try:
        async with following(other, run=run) as follower:
            ids += [message.id for message in log_messages(50, key="replica", start=1000)]
            await stack.bus.streams.publish_all(log_messages(50, key="replica", start=1000))
            await same_as_table(stack, follower, run, len(ids))
    finally:
        await other.end()


async def test_the_event_store_is_killed_in_the_middle_of_a_run(stack):
    run = run_id_for("store-killed")
    messages = history("store-killed", logs=400)
    async with following(stack.dagit, run=run) as follower:
        await stack.bus.streams.publish_all(messages[:150])
        stack.store.kill()
        await stack.bus.streams.publish_all(messages[150:300])
        await follower.until(lambda one: len(one.seen) >= 300)  # live goes on without the store
        async with following(stack.dagit, run=run) as late:  # and so does a client that comes now
            await late.until(lambda one: len(one.seen) >= 300)
            stack.store.start()
            await stack.bus.streams.publish_all(messages[300:])
            await same_as_table(stack, follower, run, len(messages))
            await same_as_table(stack, late, run, len(messages))
        assert follower.connections == 1


async def test_nats_is_restarted_during_a_run(stack):
    run = run_id_for("nats-restarted")
    messages = history("nats-restarted", logs=300)
    async with following(stack.dagit, run=run) as follower:
        await stack.bus.streams.publish_all(messages[:100])
        await follower.until(lambda one: len(one.seen) >= 50)
        await stack.nats.kill()
        await stack.nats.start()
        await stack.bus.streams.publish_all(messages[100:])
        await same_as_table(stack, follower, run, len(messages))
        assert follower.connections == 1


async def test_dagit_is_killed_during_a_run(stack):
    run = run_id_for("dagit-killed")
    messages = history("dagit-killed", logs=300)
    async with following(stack.dagit, run=run) as follower:
        await stack.bus.streams.publish_all(messages[:100])
        await follower.until(lambda one: len(one.seen) >= 50)
        await stack.dagit.end(signal.SIGKILL)
        await stack.bus.streams.publish_all(messages[100:200])
        await stack.dagit.start()
        await stack.bus.streams.publish_all(messages[200:])
        await same_as_table(stack, follower, run, len(messages))
        assert follower.connections == 2


async def test_the_instance_feed_shows_the_life_of_all_runs_over_a_restart(stack):
    async with following(stack.dagit) as follower:
        await follower.until(lambda one: one.told)
        await stack.publish("life-1")
        await stack.dagit.end()
        await stack.publish("life-2")
        await stack.dagit.start()
        await stack.publish("life-3")
        runs = [run_id_for(f"life-{number}") for number in (1, 2, 3)]
        await follower.until(lambda one: len(one.seen) >= 15)
        expected = [f"{run}:{name}" for run in runs for name in ("queued", "launched", "1:0", "1:1", "1:11")]
        assert [one for _, one in follower.seen] == expected


async def test_postgresql_is_away_for_a_while(postgres_server, tmp_path):
    async with (
        proxy(postgres_server.port) as way,
        running_stack(postgres_server, tmp_path, postgres_port=way.port) as stack,
    ):
        run = run_id_for("outage")
        messages = history("outage", logs=300)
        old = await stack.publish("old")
        await stack.stored()
        async with following(stack.dagit, run=run) as follower:
            await stack.bus.streams.publish_all(messages[:100])
            await follower.until(lambda one: len(one.seen) >= 100)
            way._target_port = NOBODY
            way.cut()
            answer = await stack.client.get("/api/v1/runs")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
            ready = await stack.client.get("/readyz")
            assert (ready.status_code, ready.json()["checks"]["database"]) == (200, "not readable")  # live is there
            await stack.bus.streams.publish_all(messages[100:200])
            await follower.until(lambda one: len(one.seen) >= 200)  # live goes on
            other = stack.another_dagit()  # started while the database is away
            await other.start(database="not readable")
            async with following(other, run=run_id_for("old")) as late:
                way._target_port = postgres_server.port
                await stack.bus.streams.publish_all(messages[200:])
                await same_as_table(stack, follower, run, len(messages))
                await same_as_table(stack, late, run_id_for("old"), len(old))
            await other.end()
            assert follower.connections == 1
        assert (await stack.client.get("/api/v1/runs")).status_code == 200
        said = stack.dagit.log.read_text()
        assert said.count("history not readable") == said.count("history readable again") <= 2


async def test_the_stream_is_rebuilt(stack):
    before, after = run_id_for("before"), run_id_for("after")
    ids = await stack.publish("before")
    await stack.stored()
    async with following(stack.dagit, run=before) as old, following(stack.dagit) as life:
        await old.until(lambda one: one.told)
        await life.until(lambda one: one.told)
        epoch = (await stack.bus.streams.position(EVENTS)).epoch
        await stack.bus.streams.ask(f"STREAM.DELETE.{EVENTS.name}", None)
        await provision(stack.bus)
        info = await stack.bus.streams.ask(f"STREAM.INFO.{EVENTS.name}", None)
        config = {**info.content["config"], "metadata": {"dagwire.epoch": str(epoch + 1)}}
        await stack.bus.streams.ask(f"STREAM.UPDATE.{EVENTS.name}", config)
        await stack.publish("after")
        await life.until(lambda one: f"{after}:1:11" in [event for _, event in one.seen])
        assert [event for _, event in life.seen][:2] == [f"{after}:queued", f"{after}:launched"]
        assert all(cursor.startswith(f"{epoch + 1}-") for cursor, _ in life.seen)
        await old.until(lambda one: one.told == 2)  # it came again, and has all of the run from before
        assert [event for _, event in old.seen] == ids
    async with following(stack.dagit, run=before) as late, following(stack.dagit, run=after) as new:
        await same_as_table(stack, late, before, len(ids))
        await same_as_table(stack, new, after, len(ids))


async def test_the_same_launch_a_hundred_times_from_ten_clients_is_one_run(stack):
    body = {"location": "code", "job": "etl"}
    headers = {"Idempotency-Key": "a hundred times"}

    async def ten() -> list[dict]:
        async with stack.dagit.client() as client:
            return [(await client.post("/api/v1/runs", json=body, headers=headers)).json() for _ in range(10)]

    answers = [answer for group in await asyncio.gather(*(ten() for _ in range(10))) for answer in group]
    assert {answer["run_id"] for answer in answers} == {run_id_for("a hundred times")}
    assert sum(not answer["duplicate"] for answer in answers) == 1
    assert (await stack.bus.streams.position(REQUESTS)).last == 1


async def test_a_slow_client_holds_up_nobody_and_gets_everything_in_the_end(stack):
    run = run_id_for("slow")
    slow = socket.create_connection(("127.0.0.1", stack.dagit.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    slow.sendall(f"GET /api/v1/feed?run={run} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    messages = history("slow", logs=6_000)
    async with following(stack.dagit, run=run) as follower:
        for start in range(0, len(messages), 1000):
            await stack.bus.streams.publish_all(messages[start : start + 1000])
        await follower.until(lambda one: len(one.seen) >= len(messages))
        assert follower.connections == 1
    slow.settimeout(30)
    received = bytearray()
    while chunk := await asyncio.to_thread(slow.recv, 2**20):  # until all is read, or Dagit has closed it
        received += chunk
        if b'"dagwire.run.succeeded"' in received[-2000:]:
            break
    slow.close()
    seen = re.findall(rb"\nid: ([0-9-]+)\nevent: event\n(?=data: .*\n\n)", received)
    async with following(stack.dagit, run=run, last=seen[-1].decode()) as resumed:
        await resumed.until(lambda one: one.told)
        seen += [cursor.encode() for cursor, _ in resumed.seen]
    await stack.stored()
    assert [cursor.decode() for cursor in seen] == [cursor for cursor, _ in await stack.table(run)]


async def test_clients_are_told_of_switches_and_changed_code(stack):
    async with following(stack.dagit) as follower:
        await follower.until(lambda one: one.told)
        schedule = schedule_id_for("code", "main", "nightly")
        switch = ScheduleSwitch(
            location="code", repository="main", schedule="nightly", status="stopped", by="cli", at=NOON
        )
        await stack.bus.state.put(switch_key(schedule), switch.model_dump_json().encode())
        await follower.until(
            lambda one: any(name == "schedule" and data["status"] == "STOPPED" for name, data in one.hints)
        )
        await stack.code.define(a_repository(a_schedule("hourly"), a_schedule()))
        await follower.until(
            lambda one: any(
                name == "location" and "hourly" in data["repositories"][0]["schedules"] for name, data in one.hints
            )
        )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_dagit_stops_at_once_although_feeds_are_open(stack, how):
    dagit = stack.another_dagit()
    await dagit.start()
    async with following(dagit), following(dagit, run=run_id_for("x")) as follower:
        await follower.until(lambda one: one.told)
        began = time.monotonic()
        assert await dagit.end(how) == 0
        assert time.monotonic() - began < 3
    assert "Traceback" not in dagit.log.read_text()


async def test_a_port_in_use_is_one_clear_sentence(stack):
    dagit = stack.another_dagit(port=str(stack.dagit.port))
    with pytest.raises(AssertionError):
        await dagit.start()
    assert await dagit.end() == 1
    said = dagit.log.read_text()
    assert f"cannot listen on 127.0.0.1 port {stack.dagit.port}: address already in use" in said
    assert "Traceback" not in said


async def test_wrong_settings_are_one_message(stack):
    dagit = stack.another_dagit(statement_seconds="-1", database_url="")
    with pytest.raises(AssertionError):
        await dagit.start()
    assert await dagit.end() == 2
    assert "DAGWIRE_DAGIT_STATEMENT_SECONDS" in dagit.log.read_text()
