"""Scheduler processes on a real NATS server, with a real gRPC code server whose definitions the test decides."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from dagwire_shared.jetstream import JetStreamBus, connect
from support.buses import fresh
from support.codeservers import FakeCodeServer
from support.nats import NatsServer, nats_server


class SchedulerProcess:
    """One ``python -m dagwire_scheduler``."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def ended(self) -> int:
        """Return its exit code when it has ended."""
        return await asyncio.wait_for(self._process.wait(), 30)

    async def signal(self, number: signal.Signals) -> int:
        """Send a signal that ends it, and return its exit code."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self.ended()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)


Start = Callable[..., Awaitable[SchedulerProcess]]


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
async def code() -> AsyncIterator[FakeCodeServer]:
    async with FakeCodeServer() as code:
        yield code


@pytest.fixture
async def start(server: NatsServer, bus: JetStreamBus, code: FakeCodeServer, tmp_path: Path) -> AsyncIterator[Start]:
    """A function that starts a scheduler process; every one is killed at the end."""
    processes: list[SchedulerProcess] = []
    workspace = tmp_path / "workspace.yaml"

    async def start_(**settings: object) -> SchedulerProcess:
        workspace.write_text(
            f"load_from: [{{grpc_server: {{host: 127.0.0.1, port: {code.port}, location_name: {code.name}}}}}]"
        )
        log = tmp_path / f"scheduler-{len(processes)}.log"
        given = {"nats_url": server.url, "workspace": workspace, **settings}
        env = {f"DAGWIRE_SCHEDULER_{name.upper()}": str(value) for name, value in given.items()}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "dagwire_scheduler", stdout=output, stderr=output, env={**os.environ, **env}
            )
        processes.append(SchedulerProcess(process, log))
        return processes[-1]

    yield start_
    for process in processes:
        await process.signal(signal.SIGKILL)
