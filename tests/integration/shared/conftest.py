"""A real NATS server for each test, with the streams of the bus."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from support.nats import NatsServer, nats_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with nats_server(tmp_path / "nats") as running:
        yield running


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[JetStreamBus]:
    async with connect(server.url, name="test") as connection:
        await provision(connection)
        yield connection
