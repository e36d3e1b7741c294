"""Services come up in any order, wait for what they need, and end when they are told to."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from dagwire_standalone.postgres import PostgresServer
from support.buses import eventually
from support.nats import NatsServer, free_port

SERVICES = ("dagit", "eventstore", "launcher", "scheduler")
PATIENCE_SECONDS = 30
WELL = {"bus": "ok", "streams": "ok"}


@dataclass(frozen=True)
class Service:
    """A running service."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient
    log: Path

    async def ready(self) -> tuple[int, Mapping[str, str]]:
        """What ``/readyz`` says; 0 if nothing answers."""
        assert self.process.returncode is None, self.log.read_text()
        try:
            answer = await self.client.get("/readyz")
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()["checks"]

    async def becomes(self, status: int, **checks: str) -> None:
        """Return when it says this of these checks."""

        async def does() -> bool:
            found, said = await self.ready()
            return found == status and {name: said.get(name) for name in checks} == checks

        await eventually(does, seconds=PATIENCE_SECONDS)

    async def stop(self) -> int:
        """Tell it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(name: str, directory: Path, **settings: str) -> AsyncIterator[Service]:
    port, log = free_port(), directory / f"{name}.log"
    (directory / "workspace.yaml").write_text("load_from: []\n")
    given = {"HEALTH_PORT": str(port), "WORKSPACE": "workspace.yaml", "PORT": str(free_port()), **settings}
    prefix = f"DAGWIRE_{name.upper()}_"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DAGWIRE_")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"dagwire_{name}", cwd=directory, stdout=output, stderr=output,
            env={**inherited, **{f"{prefix}{key}": value for key, value in given.items()}},
        )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield Service(process, client, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("name", ["launcher", "scheduler"])
async def test_a_service_that_starts_before_the_bus_waits_for_it(name: str, tmp_path: Path):
    server = NatsServer(tmp_path / "nats", port=free_port())
    async with running(name, tmp_path, NATS_URL=server.url) as service:
        await service.becomes(503, bus="not connected", streams="not made yet")
        assert (await service.client.get("/healthz")).status_code == 200
        await server.start()
        try:
            await service.becomes(200, **WELL)
            await server.kill()
            await service.becomes(503, bus="not connected", streams="ok")
            await server.start()
            await service.becomes(200, **WELL)
            assert await service.stop() == 0
        finally:
            await server.kill()
        assert "Traceback" not in service.log.read_text()


async def test_an_event_store_is_ready_with_the_bus_and_says_that_the_database_is_away(
    tmp_path: Path, own_postgres_server: PostgresServer
):
    url = own_postgres_server.url()
    own_postgres_server.stop()
    server = NatsServer(tmp_path / "nats", port=free_port())
    async with running("eventstore", tmp_path, NATS_URL=server.url, DATABASE_URL=url) as service:
        await service.becomes(503, bus="not connected", database="not connected")
        await server.start()
        try:
            await service.becomes(200, **WELL, database="not connected")
            own_postgres_server.start()
            await service.becomes(200, **WELL, database="ok")
            own_postgres_server.kill()
            await service.becomes(200, **WELL, database="not connected")
            assert await service.stop() == 0
        finally:
            await server.kill()


async def test_dagit_is_ready_with_bus_or_database_and_says_what_is_missing(
    tmp_path: Path, own_postgres_server: PostgresServer
):
    url = own_postgres_server.url()
    own_postgres_server.stop()
    server = NatsServer(tmp_path / "nats", port=free_port())
    async with running("dagit", tmp_path, NATS_URL=server.url, DATABASE_URL=url) as service:
        await service.becomes(503, bus="not connected", database="not readable", streams="not made yet")
        await server.start()
        try:
            await service.becomes(200, bus="ok", database="not readable", streams="ok")
            await server.kill()
            await service.becomes(503, bus="not connected", database="not readable")
            own_postgres_server.start()
            async with running("eventstore", tmp_path, NATS_URL=server.url, DATABASE_URL=url) as store:
                await server.start()
                await store.becomes(200, **WELL, database="ok")
            await server.kill()
            await service.becomes(200, bus="not connected", database="ok")
            assert await service.stop() == 0
        finally:
            await server.kill()


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_that_waits_ends_when_it_is_told_to(name: str, tmp_path: Path):
    nobody = free_port()
    settings = {"NATS_URL": f"nats://127.0.0.1:{nobody}", "DATABASE_URL": f"postgresql://x:y@127.0.0.1:{nobody}/x"}
    async with running(name, tmp_path, **settings) as service:
        await service.becomes(503, bus="not connected")
        assert await service.stop() == 0
        assert "bus not there yet" in service.log.read_text()
        assert "Traceback" not in service.log.read_text()
