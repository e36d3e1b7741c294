"""One stack per module: to start it takes seconds."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from dagwire_standalone.postgres import PostgresServer
from support.dagitstack import Stack, running_stack
from support.postgres import postgres_server

__all__ = ["postgres_server"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One stack for the tests of a module: to start it takes seconds."""
    async with running_stack(postgres_server, tmp_path_factory.mktemp("stack")) as running:
        yield running
        print(running.dagit.log.read_text())  # noqa: T201 -- pytest shows it when a test fails
        print(running.store.log.read_text())  # noqa: T201
