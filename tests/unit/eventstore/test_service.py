"""How the service answers a connection to PostgreSQL that breaks."""

import asyncio
import contextlib

import asyncpg
from dagwire_eventstore.service import EventStore
from dagwire_eventstore.settings import EventStoreSettings
from dagwire_shared.memory import MemoryBus


class Breaking:
    """A database each of whose connections breaks while a statement is made ready for it."""

    def __init__(self) -> None:
        self.connections = 0
        self.again = asyncio.Event()

    @contextlib.asynccontextmanager
    async def connect(self, name):
        self.connections += 1
        if self.connections > 1:
            self.again.set()
        yield self

    async def execute(self, *_):
        pass

    async def fetch(self, *_):
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

    def went_away(self, error):
        assert isinstance(error, asyncpg.InternalClientError)


async def test_a_connection_that_breaks_between_two_states_of_the_driver_is_made_anew():
    database = Breaking()
    settings = EventStoreSettings(nats_url="nats://n", database_url="postgresql://p/d")
    task = asyncio.create_task(EventStore(MemoryBus(), database, settings)._take_part())
    try:
        async with asyncio.timeout(10):
            await database.again.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
