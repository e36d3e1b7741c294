"""A NATS server with the streams, an empty database, and a store process between them."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from support.eventstore import StoreProcess, store_process
from support.nats import NatsServer, nats_server
from support.postgres import READER, Database, database, own_postgres_server, postgres_server

__all__ = ["database", "own_postgres_server", "postgres_server"]


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with nats_server(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def bus(nats: NatsServer) -> AsyncIterator[JetStreamBus]:
    async with connect(nats.url, name="test") as bus:
        await provision(bus)
        yield bus


@pytest.fixture
def store(nats: NatsServer, bus: JetStreamBus, database: Database, tmp_path: Path) -> Iterator[StoreProcess]:
    """A running store; its database has a reading role."""
    log = tmp_path / "store.log"
    with store_process(nats_url=nats.url, database_url=database.url, log=log, reader_role=READER) as process:
        yield process
        if process.exit_code is None:
            assert process.stop() == 0
        sys.stdout.write(log.read_text())  # shown if the test fails
