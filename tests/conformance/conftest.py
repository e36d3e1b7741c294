"""Both adapters of each port, so that one suite proves them alike."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from dagwire_shared.bus import Bus
from support.buses import JetStreamMaker, MemoryMaker, fresh
from support.nats import NatsServer, nats_server

Maker = MemoryMaker | JetStreamMaker


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    async with nats_server(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture(params=["memory", "jetstream"])
async def maker(request: pytest.FixtureRequest, server: NatsServer) -> Maker:
    if request.param == "memory":
        return MemoryMaker()
    await fresh(server)
    return JetStreamMaker(server)


@pytest.fixture
async def bus(maker: Maker) -> AsyncIterator[Bus]:
    async with maker.connection() as connection:
        yield connection


@pytest.fixture
async def other(maker: Maker) -> AsyncIterator[Bus]:
    """A second connection."""
    async with maker.connection() as connection:
        yield connection
