"""One NATS server per module, its streams made anew for each test, and workers started by hand."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from dagwire_shared.jetstream import JetStreamBus, connect
from support.buses import fresh
from support.launching import CODE, WorkerProcess, a_request, launch_body, location
from support.nats import NatsServer, nats_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    async with nats_server(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[JetStreamBus]:
    await fresh(server)
    async with connect(server.url, name="test") as connection:
        yield connection


@pytest.fixture
def worker(server: NatsServer, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts the worker of a run by its key, job and fields of the request."""
    made: list[WorkerProcess] = []

    def start(
        key: str,
        job: str = "one_op",
        *,
        name: str = "a",
        code: str = CODE,
        traceparent: str | None = None,
        nats_url: str = server.url,
        settings: dict[str, object] | None = None,
        **fields: object,
    ) -> WorkerProcess:
        body = launch_body(a_request(key, job, **fields), traceparent=traceparent)
        place = location(tmp_path / "code", code=code)
        one = WorkerProcess(place, body, tmp_path / name, nats_url=nats_url, **(settings or {}))
        made.append(one)
        return one

    yield start
    for one in made:
        with contextlib.suppress(ProcessLookupError):
            one.kill()
