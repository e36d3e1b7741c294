"""Exactly once, in order, without a gap: whatever is killed, and however often."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from dagwire_shared.jetstream import JetStreamBus
from dagwire_standalone.postgres import PostgresServer
from support.eventstore import (
    StoreProcess,
    connected,
    history,
    log_messages,
    projections,
    store_process,
    stored_ids,
    streamed_ids,
    until,
    until_said,
    until_stored,
)
from support.nats import NatsServer
from support.postgres import Database, fresh_database

KEYS = [f"run {number}" for number in range(24)]


async def produce(
    bus: JetStreamBus, count: int, *, pause: float = 0.02, runs: Sequence[int] = range(len(KEYS))
) -> None:
    """Publish whole runs and many log lines, interleaved, a portion at a time; ``count`` lines for all runs."""
    for number in runs:
        key = KEYS[number]
        await bus.streams.publish_all(history(key, failed=number % 3 == 0))
        per_run = count // len(KEYS)
        await bus.streams.publish_all(log_messages(per_run, key=key, start=1000))
        await asyncio.sleep(pause)


@asynccontextmanager
async def producing(bus: JetStreamBus, count: int, *, pause: float = 0.02) -> AsyncIterator[asyncio.Task[None]]:
    """Produce in the background; what went wrong comes out at the end."""
    task = asyncio.create_task(produce(bus, count, pause=pause))
    yield task
    await task


async def assert_whole(bus: JetStreamBus, url: str) -> None:
    """The table holds what the stream holds: the same ids in the same order, none twice, none missing."""
    await until_stored(bus, url)
    stored, streamed = await stored_ids(url), await streamed_ids(bus)
    assert len(stored) == len(streamed)
    assert stored == streamed
    states = await projections(url)
    assert len(states["runs"]) == len(KEYS)
    assert sum("status='SUCCESS'" in run for run in states["runs"]) == len(KEYS) * 2 // 3
    assert sum("status='FAILURE'" in run for run in states["runs"]) == len(KEYS) // 3
    assert len(states["steps"]) == 2 * len(KEYS)


async def test_a_store_that_is_killed_again_and_again_stores_each_event_once(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    chance = random.Random(20261101)
    await until_said(store, "partition opened", 1)
    async with connected(database.superuser_url) as observer:

        async def enough() -> bool:
            return await observer.fetchval("SELECT count(*) FROM events") >= wanted

        for first in range(0, len(KEYS), 2):
            wanted = await observer.fetchval("SELECT count(*) FROM events") + chance.randint(1, 2500)
            portion = asyncio.create_task(produce(bus, 30_000, pause=0, runs=range(first, first + 2)))
            await until(enough, True, what="the store is in the middle of a portion")
            store.kill()
            store.start()
            if chance.random() < 0.3:  # some die before they do anything
                await asyncio.sleep(chance.uniform(0, 0.5))
                store.kill()
                store.start()
            await portion
    await assert_whole(bus, database.url)
    assert store.said("service starts") >= 12


async def test_a_store_that_dies_inside_a_transaction_leaves_nothing_of_it(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    await bus.streams.publish_all(log_messages(10, key=KEYS[0], start=5000))
    await until_stored(bus, database.url)
    async with connected(database.url) as blocker, connected(database.url) as observer:

        async def store_waits() -> bool:
            return bool(
                await observer.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND wait_event_type = 'Lock' AND query LIKE '%UPDATE progress%'"
                )
            )

        async with blocker.transaction():
            await blocker.execute("LOCK TABLE progress IN SHARE MODE")  # its last statement before the commit waits
            await produce(bus, 2400)
            await until(store_waits, True, what="the store has written a batch and waits to commit")
            store.kill()
            assert await observer.fetchval("SELECT count(*) FROM events") == 10
    store.start()
    await assert_whole(bus, database.url)


async def test_a_store_whose_connections_are_cut_goes_on(bus: JetStreamBus, database: Database, store: StoreProcess):
    async with producing(bus, 20_000) as production, connected(database.superuser_url) as admin:
        while not production.done():
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE 'dagwire-eventstore%'"
            )
            await asyncio.sleep(0.15)
    await assert_whole(bus, database.url)
    assert store.exit_code is None


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_postgresql_that_goes_away_and_comes_back_gets_everything(
    bus: JetStreamBus, nats: NatsServer, own_postgres_server: PostgresServer, tmp_path: Path, how: str
):
    database = fresh_database(own_postgres_server)
    log = tmp_path / "store.log"
    with store_process(nats_url=nats.url, database_url=database.url, log=log) as store:
        await until_said(store, "partition opened", 1)
        for number in range(1, 4):
            if how == "kill":
                await asyncio.to_thread(own_postgres_server.kill)
            await asyncio.to_thread(own_postgres_server.stop)
            # In each outage a third of the runs: a store that has nothing to write need not notice.
            await produce(bus, 12_000, runs=range(number - 1, len(KEYS), 3))
            await until_said(store, "database unavailable", number)
            own_postgres_server.start()
            await until_said(store, "database available again", number)
        await assert_whole(bus, database.url)
        assert store.said("database unavailable") == store.said("database available again") == 3


async def test_a_store_that_starts_before_postgresql_waits_for_it(
    bus: JetStreamBus, nats: NatsServer, own_postgres_server: PostgresServer, tmp_path: Path
):
    database = fresh_database(own_postgres_server)
    own_postgres_server.stop()
    with store_process(nats_url=nats.url, database_url=database.url, log=tmp_path / "store.log") as store:
        await until_said(store, "database unavailable", 1)
        await produce(bus, 240)
        own_postgres_server.start()
        await assert_whole(bus, database.url)


async def test_a_bus_that_restarts_loses_nothing(
    bus: JetStreamBus, nats: NatsServer, database: Database, store: StoreProcess
):
    async with producing(bus, 12_000, pause=0.1):
        for _ in range(3):
            await asyncio.sleep(0.5)
            await nats.kill()
            await asyncio.sleep(0.2)
            await nats.start()
    await assert_whole(bus, database.url)
    assert store.exit_code is None
