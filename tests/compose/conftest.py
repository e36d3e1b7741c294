"""The repository's docker-compose.yml on a real engine, with the images of ``make images``."""

from collections.abc import Iterator

import httpx
import pytest
from support.compose import Compose, compose, missing


@pytest.fixture(scope="session")
def dagwire() -> Iterator[Compose]:
    """One installation for all tests. Fails, and never skips, without an engine: who runs these asked for one."""
    if (lack := missing()) is not None:
        pytest.fail(lack, pytrace=False)
    with compose() as installation:
        yield installation


@pytest.fixture
def client(dagwire: Compose) -> Iterator[httpx.Client]:
    with dagwire.client() as client:
        yield client
