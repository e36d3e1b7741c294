"""One NATS server per module, its streams made anew for each test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from dagwire_shared.jetstream import JetStreamBus, connect
from support.buses import fresh
from support.launching import LauncherProcess, launchers, location, serve
from support.nats import NatsServer, nats_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    async with nats_server(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def bus(server: NatsServer, tmp_path: Path) -> AsyncIterator[JetStreamBus]:
    """A connection to a bus that knows the code location ``here``."""
    await fresh(server)
    async with connect(server.url, name="test") as connection:
        await serve(connection, location(tmp_path / "code"))
        yield connection


@pytest.fixture
async def launcher(
    server: NatsServer, bus: JetStreamBus, tmp_path: Path
) -> AsyncIterator[Callable[..., LauncherProcess]]:
    """Starts launcher processes."""
    async with launchers(server.url, tmp_path) as make:
        yield make
