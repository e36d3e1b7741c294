"""A stream that was rebuilt, or is not the one it was."""

import json
from pathlib import Path

from dagwire_shared.jetstream import JetStreamBus
from dagwire_shared.streams import EVENTS
from support.eventstore import (
    connected,
    history,
    log_messages,
    projections,
    store_process,
    stored_ids,
    streamed_ids,
    until_said,
    until_stored,
)
from support.nats import NatsServer
from support.postgres import Database


async def set_epoch(bus: JetStreamBus, epoch: int) -> None:
    """What ``nats stream edit DAGWIRE_EVENTS --metadata dagwire.epoch=…`` does."""
    answer = await bus.streams.ask(f"STREAM.UPDATE.{EVENTS.name}", await settings(bus, epoch))
    assert answer.error is None


async def rebuild_stream(bus: JetStreamBus, epoch: int) -> None:
    """Delete the stream and make it anew."""
    wanted = await settings(bus, epoch)
    await bus.streams.ask(f"STREAM.DELETE.{EVENTS.name}", None)
    answer = await bus.streams.ask(f"STREAM.CREATE.{EVENTS.name}", wanted)
    assert answer.error is None


async def settings(bus: JetStreamBus, epoch: int) -> dict[str, object]:
    """The stream's settings, but for the epoch."""
    info = await bus.streams.ask(f"STREAM.INFO.{EVENTS.name}", None)
    return {**info.content["config"], "metadata": {"dagwire.epoch": str(epoch)}}


async def test_a_rebuilt_stream_sorts_after_what_is_stored(
    bus: JetStreamBus, nats: NatsServer, database: Database, tmp_path: Path
):
    log = tmp_path / "store.log"
    with store_process(nats_url=nats.url, database_url=database.url, log=log, watch_seconds="0.1") as store:
        await set_epoch(bus, 100)
        await bus.streams.publish_all(history("old"))
        await until_stored(bus, database.url)
        old = await stored_ids(database.url)
        await rebuild_stream(bus, 200)
        # The rebuilt stream holds some of the old events again, and new ones.
        await bus.streams.publish_all([*history("old")[:4], *history("new")])
        await until_stored(bus, database.url)
        stored = await stored_ids(database.url)
        assert stored[: len(old)] == old
        assert stored[len(old) :] == (await streamed_ids(bus, epoch=200))[4:]
        assert store.exit_code is None
    states = await projections(database.url)
    assert sum("status='SUCCESS'" in run for run in states["runs"]) == 2


async def test_a_stream_of_an_older_epoch_is_refused_with_what_to_do(
    bus: JetStreamBus, nats: NatsServer, database: Database, tmp_path: Path
):
    log = tmp_path / "store.log"
    with store_process(nats_url=nats.url, database_url=database.url, log=log, watch_seconds="0.1") as store:
        await set_epoch(bus, 200)
        await bus.streams.publish_all(history("first"))
        await until_stored(bus, database.url)
        before = await stored_ids(database.url)
        await rebuild_stream(bus, 100)
        await bus.streams.publish_all(history("second"))
        assert store.wait() == 1
        assert store.said("has epoch 100, but this database holds events of epoch 200") == 1
        assert store.said("--metadata dagwire.epoch=201") == 1
        assert await stored_ids(database.url) == before
        await set_epoch(bus, 201)
        store.start()
        await until_stored(bus, database.url)
    assert (await stored_ids(database.url))[len(before) :] == await streamed_ids(bus, epoch=201)


async def test_a_stream_that_lost_its_end_is_refused_with_what_to_do(
    bus: JetStreamBus, nats: NatsServer, database: Database, tmp_path: Path
):
    with store_process(nats_url=nats.url, database_url=database.url, log=tmp_path / "store.log") as store:
        await set_epoch(bus, 300)
        await bus.streams.publish_all(log_messages(20))
        await until_stored(bus, database.url)
        store.kill()
        await rebuild_stream(bus, 300)
        await bus.streams.publish_all(log_messages(5, start=100))
        store.start()
        assert store.wait() == 1
        assert store.said("ends at sequence 5, but this database holds events up to 20") == 1
        assert len(await stored_ids(database.url)) == 20
        await set_epoch(bus, 301)
        store.start()
        await until_stored(bus, database.url)
    assert len(await stored_ids(database.url)) == 25


async def test_events_that_expired_before_they_were_stored_are_reported(
    bus: JetStreamBus, nats: NatsServer, database: Database, tmp_path: Path
):
    with store_process(nats_url=nats.url, database_url=database.url, log=tmp_path / "store.log") as store:
        await bus.streams.publish_all(log_messages(5))
        await until_stored(bus, database.url)
        store.kill()
        await bus.streams.publish_all(log_messages(10, start=5))
        await bus.streams.ask(f"STREAM.PURGE.{EVENTS.name}", {"seq": 11})  # as the stream's age limit does
        store.start()
        await until_stored(bus, database.url)
        await until_said(store, "stream forgot events before they were stored", 1)
    async with connected(database.url) as connection:
        stored = [
            json.loads(row[0])["data"]["message"] for row in await connection.fetch("SELECT envelope FROM events")
        ]
    assert sorted(stored) == sorted(f"line {number}" for number in (*range(5), *range(10, 15)))
