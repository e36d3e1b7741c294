"""A stream that is not there for a while."""

from dagwire_shared.jetstream import JetStreamBus, provision
from dagwire_shared.streams import EVENTS
from support.eventstore import StoreProcess, history, stored_ids, streamed_ids, until_said, until_stored
from support.postgres import Database


async def test_a_store_waits_for_a_stream_that_is_being_rebuilt(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    await until_said(store, "partition opened", 1)
    await bus.streams.ask(f"STREAM.DELETE.{EVENTS.name}", None)
    await until_said(store, "partition starts over", 1)
    await provision(bus)
    await bus.streams.publish_all(history())
    await until_stored(bus, database.url)
    assert await stored_ids(database.url) == await streamed_ids(bus)
    assert store.exit_code is None
