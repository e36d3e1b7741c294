"""The projections made anew from the events, and what retention deletes."""

import asyncio
import os
import random
import subprocess
import sys
from datetime import timedelta

from dagwire_eventstore.database import Database as Connections
from dagwire_eventstore.rebuild import rebuild
from dagwire_eventstore.retention import delete_old_logs
from dagwire_shared import events
from dagwire_shared.bus import Message
from dagwire_shared.ids import run_id_for, schedule_id_for
from dagwire_shared.jetstream import JetStreamBus
from support.eventstore import (
    NOON,
    StoreProcess,
    connected,
    history,
    log_messages,
    message,
    projections,
    stored_ids,
    until_stored,
)
from support.postgres import Database

SCHEDULE = schedule_id_for("weather", "weather", "daily")


def a_life() -> list[Message]:
    """Runs that end in every way, in orders that a stream may well have, ticks, and assets of many runs."""
    chance = random.Random(11)
    by = events.RequestedBy(kind="ui")
    sent: list[Message] = []
    for number in range(20):
        key = f"run {number}"
        run = history(key, failed=number % 4 == 1)
        if number % 4 == 2:  # its worker vanished, and spoke once more
            run = [
                *run[:6],
                message(events.RunLost(cause="worker_lost", message="gone"), key=key, number="end"),
                run[9],
            ]
        if number % 4 == 3:
            run = [run[0], message(events.RunCanceling(requested_by=by), key=key, number="canceling"),
                   message(events.RunDropped(requested_by=by), key=key, number="end")]  # fmt: skip
        if number % 5 == 0:
            chance.shuffle(run)
        sent += run
    for day in range(6):
        of = {
            "location": "weather",
            "repository": "weather",
            "schedule": "daily",
            "nominal_time": NOON + timedelta(day),
        }
        told = [
            events.TickRequested(**of, run_ids=[run_id_for(f"run {day}")]),
            events.TickSkipped(**of, reason="holiday"),
            events.TickFailed(**of, error=events.ErrorInfo(type="KeyError", message="x")),
        ]
        for kind in range(day % 3, 3):
            sent.append(message(told[kind], aggregate=SCHEDULE, number=f"{day}:{kind}"))
    return sent


async def test_a_rebuild_makes_the_same_projections(bus: JetStreamBus, database: Database, store: StoreProcess):
    for part in (a_life(), log_messages(500, key="run 3", start=1000)):
        await bus.streams.publish_all(part)
    await until_stored(bus, database.url)
    before = await projections(database.url)
    assert [len(before[table]) for table in ("runs", "ticks", "assets")] == [20, 6, 1]
    async with Connections(database.url).connect("test", command_seconds=None) as connection:
        applied = await rebuild(connection, portion=7)
    assert applied > 150
    assert await projections(database.url) == before


async def test_a_rebuild_repairs_what_was_changed_while_the_store_goes_on(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    await bus.streams.publish_all(a_life())
    await until_stored(bus, database.url)
    before = await projections(database.url)
    async with connected(database.url) as connection:
        await connection.execute(
            "UPDATE runs SET status = 'QUEUED', decided = '{}'; DELETE FROM steps; DELETE FROM ticks"
        )
    environment = {
        **os.environ,
        "DAGWIRE_EVENTSTORE_NATS_URL": "nats://127.0.0.1:1",
        "DAGWIRE_EVENTSTORE_DATABASE_URL": database.url,
    }
    command = [sys.executable, "-m", "dagwire_eventstore", "rebuild"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "are rebuilt" in done.stderr
    assert await projections(database.url) == before
    await bus.streams.publish_all(history("after"))
    await until_stored(bus, database.url)
    assert len((await projections(database.url))["runs"]) == 21


async def test_a_rebuild_that_fails_leaves_everything_as_it_was(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    await bus.streams.publish_all(a_life())
    await until_stored(bus, database.url)
    before = await projections(database.url)

    class InterruptedRebuildError(Exception):
        pass

    def stop(total: int) -> None:
        raise InterruptedRebuildError

    try:
        async with Connections(database.url).connect("test") as connection:
            await rebuild(connection, portion=20, on_progress=stop)
    except InterruptedRebuildError:
        pass
    assert await projections(database.url) == before


async def test_retention_deletes_old_log_lines_and_nothing_else(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    await bus.streams.publish_all([*history("run", logs=0), *log_messages(50, start=100)])
    await until_stored(bus, database.url)
    before = await projections(database.url)
    async with connected(database.url) as connection:
        assert await delete_old_logs(connection, before=NOON, portion=7) == 0
        assert await delete_old_logs(connection, before=NOON + timedelta(milliseconds=130), portion=7) == 30
        kinds = dict(await connection.fetch("SELECT kind, count(*) FROM events GROUP BY kind"))
    assert kinds["log"] == 20
    assert len(await stored_ids(database.url)) == len(history("run", logs=0)) + 20
    assert await projections(database.url) == before
