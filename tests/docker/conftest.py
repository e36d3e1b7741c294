"""A real Docker engine, that of ``$DOCKER_HOST`` or the usual socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import docker


@pytest.fixture(scope="session", autouse=True)
def engine():
    """Fail, and never skip, without an engine: who runs these tests asked for one."""
    if (lack := docker.missing()) is not None:
        pytest.fail(lack, pytrace=False)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[docker.Place]:
    async with docker.place(tmp_path / "test") as here:
        yield here
