"""Several stores at once: they share the work, and whether they do or not, what is stored is the same."""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import asyncpg
import pytest
from dagwire_eventstore.metrics import Metrics
from dagwire_eventstore.partition import Pace, Partition
from dagwire_eventstore.progress import shards_of
from dagwire_eventstore.schema import migrate
from dagwire_eventstore.store import Store
from dagwire_shared.jetstream import JetStreamBus
from dagwire_shared.streams import EVENTS
from support.eventstore import (
    StoreProcess,
    connected,
    history,
    log_messages,
    projections,
    store_process,
    stored_ids,
    streamed,
    streamed_ids,
    until,
    until_said,
    until_stored,
)
from support.nats import NatsServer
from support.postgres import Database

KEYS = [f"run {number}" for number in range(32)]
PACE = Pace(batch_size=200, watch_seconds=0.1)


@contextlib.contextmanager
def replicas(
    count: int, *, nats: NatsServer, database: Database, tmp_path: Path, **settings: str
) -> Iterator[Sequence[StoreProcess]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                store_process(
                    nats_url=nats.url, database_url=database.url, log=tmp_path / f"store {number}.log", **settings
                )
            )
            for number in range(count)
        ]


async def test_a_stand_by_takes_over_when_the_store_at_work_is_killed(
    bus: JetStreamBus, nats: NatsServer, database: Database, tmp_path: Path
):
    with replicas(2, nats=nats, database=database, tmp_path=tmp_path) as stores:
        await until_said_by_any(stores, "partition opened", 1)
        await bus.streams.publish_all(log_messages(3000))
        first = next(store for store in stores if store.said("partition opened"))
        second = next(store for store in stores if store is not first)
        first.kill()
        await until_said(second, "partition opened", 1)
        await bus.streams.publish_all(history())
        await until_stored(bus, database.url)
    assert await stored_ids(database.url) == await streamed_ids(bus)


async def until_said_by_any(stores: Sequence[StoreProcess], text: str, times: int) -> None:
    async def often_enough() -> bool:
        return sum(store.said(text) for store in stores) >= times

    await until(often_enough, True, what=f"{times} times {text!r} by anybody")


async def test_replicas_share_the_partitions_and_may_die_at_any_time(
    bus: JetStreamBus, nats: NatsServer, database: Database, tmp_path: Path
):
    chance = random.Random(7)
    with replicas(3, nats=nats, database=database, tmp_path=tmp_path, partitions="3", watch_seconds="0.2") as stores:
        for key in KEYS:
            await bus.streams.publish_all(history(key))
            await bus.streams.publish_all(log_messages(300, key=key, start=1000))
            if chance.random() < 0.25:
                victim = chance.choice(stores)
                victim.kill()
                victim.start()
        await until_stored(bus, database.url)
        assert await stored_ids(database.url) == await streamed_ids(bus)
        for store in stores:
            await until_said(store, "partition opened", 1)
    async with connected(database.url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM runs WHERE status = 'SUCCESS'") == len(KEYS)


async def test_stores_that_know_nothing_of_each_other_leave_no_gap_at_any_moment(bus: JetStreamBus, database: Database):
    """Some on the same shards, some on another division of them, without locks, dying at random: no fence is needed."""
    migrate(database.url)
    chance = random.Random(3)

    async def store(shards: Sequence[str]) -> None:
        """One store that is cut off in the middle of something, and begins anew."""
        while True:
            connection = await asyncpg.connect(database.url)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0.05, 0.8)):
                    await Partition(bus, Store(connection, shards), shards, pace=PACE, metrics=Metrics()).run()
            connection.terminate()

    layouts = [shards_of(0, of=1), shards_of(0, of=1), *(shards_of(index, of=3) for index in range(3))]
    tasks = [asyncio.create_task(store(shards)) for shards in layouts]
    snapshots = []
    for key in KEYS:
        await bus.streams.publish_all(history(key))
        await bus.streams.publish_all(log_messages(150, key=key, start=1000))
        snapshots.append(await snapshot(database.url))
    await until_stored(bus, database.url)
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(ended, asyncio.CancelledError)
    snapshots.append(await snapshot(database.url))
    in_stream = [(one.subject.split(".")[3], one.sequence) for one in await streamed(bus, EVENTS)]
    assert len({len(rows) for _, rows in snapshots}) > 3
    for progress, rows in snapshots:
        assert rows == [(shard, seq) for shard, seq in in_stream if seq <= progress.get(shard, 0)]
    assert await stored_ids(database.url) == await streamed_ids(bus)
    assert len((await projections(database.url))["runs"]) == len(KEYS)


async def snapshot(url: str) -> tuple[Mapping[str, int], Sequence[tuple[str, int]]]:
    """How far each shard is stored, and what is stored, at one moment."""
    async with connected(url) as connection, connection.transaction(isolation="repeatable_read"):
        progress = dict(await connection.fetch("SELECT shard, seq FROM progress"))
        rows = await connection.fetch("SELECT left(aggregate::text, 1), seq FROM events ORDER BY seq")
    return progress, [tuple(row) for row in rows]


@pytest.mark.parametrize("count", [1, 2])
async def test_each_partition_is_at_work_in_one_replica(
    bus: JetStreamBus, nats: NatsServer, database: Database, tmp_path: Path, count: int
):
    with replicas(count, nats=nats, database=database, tmp_path=tmp_path, partitions="4"):

        async def shares() -> list[int]:
            async with connected(database.url) as connection:
                names = await connection.fetch(
                    "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name LIKE 'dagwire-eventstore partition%' GROUP BY 1"
                )
                members = await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name = 'dagwire-eventstore member'"
                )
            return [members, *(row[1] for row in names)]

        await until(shares, [count, 1, 1, 1, 1], what="every partition has one store")
