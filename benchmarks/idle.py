"""Measures what everything costs while nothing happens: each service, a code server, NATS and PostgreSQL.

    python benchmarks/idle.py [--seconds 60] [--settle 20]

For each process: its resident memory, that part of it that no other process shares (what another replica would
cost), and the share of one core that it uses.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from dagwire_standalone.postgres import PostgresServer

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.nats import NatsServer, nats_server

ROOT = Path(__file__).parent.parent
OWNER, READER, DATABASE = "dagwire", "dagwire_reader", "dagwire"
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Part:
    """A process and those that it started."""

    name: str
    process: psutil.Process

    @property
    def family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    @property
    def cpu(self) -> float:
        times = [one.cpu_times() for one in self.family]
        return sum(one.user + one.system for one in times)

    @property
    def memory(self) -> tuple[float, float]:
        """Resident and unshared, in MiB. PostgreSQL's processes share much: theirs is counted once."""
        found = [one.memory_full_info() for one in self.family]
        return sum(one.pss for one in found) / 2**20, sum(one.uss for one in found) / 2**20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(name: str, command: list[str], environment: dict[str, str], log: Path) -> Iterator[Part]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        yield Part(name, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(20)


def services(stack: ExitStack, directory: Path, nats: NatsServer, database: PostgresServer) -> Iterator[Part]:
    code_port = free_port()
    code = ["dagwire.cli", "api", "grpc", "-f", str(ROOT / "examples/01_weather/repo.py"), "-p", str(code_port)]
    yield stack.enter_context(running("code server", code, {}, directory / "code.log"))
    workspace = directory / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {code_port}, location_name: weather}}\n"
    )
    owner, reader = (database.url(role=role, database=DATABASE) for role in (OWNER, READER))
    for name, settings in {
        "eventstore": {"DATABASE_URL": owner, "READER_ROLE": READER},
        "scheduler": {"WORKSPACE": str(workspace)},
        "launcher": {"DIRECTORY": str(directory / "runs")},
        "dagit": {"DATABASE_URL": reader, "WORKSPACE": str(workspace), "PORT": str(free_port())},
    }.items():
        health = free_port()
        given = {"NATS_URL": nats.url, "HEALTH_PORT": str(health), **settings}
        environment = {f"DAGWIRE_{name.upper()}_{key}": value for key, value in given.items()}
        part = stack.enter_context(running(name, [f"dagwire_{name}"], environment, directory / f"{name}.log"))
        wait_until_ready(health, directory / f"{name}.log")
        yield part


def wait_until_ready(port: int, log: Path) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(retries=0), trust_env=False) as client:
        for _ in range(int(READY_SECONDS / 0.1)):
            try:
                checks = client.get(f"http://127.0.0.1:{port}/readyz").json()["checks"]
            except httpx.TransportError:
                checks = {"process": "not there"}
            if all(check == "ok" for check in checks.values()):
                return
            time.sleep(0.1)
    raise SystemExit(f"not ready within {READY_SECONDS:g} s: {checks}\n{log.read_text()}")


async def measure(parts: list[Part], *, settle: float, seconds: float) -> None:
    await asyncio.sleep(settle)
    before = [part.cpu for part in parts]
    await asyncio.sleep(seconds)
    rows = [(part.name, *part.memory, (part.cpu - start) / seconds) for part, start in zip(parts, before, strict=True)]
    print(f"Idle for {seconds:g} s\n\n| part | memory, MiB | of it unshared | % of a core |\n|---|---|---|---|")
    total = ("all", *(sum(row[index] for row in rows) for index in (1, 2, 3)))
    for name, resident, own, share in [*rows, total]:
        print(f"| {name} | {resident:.0f} | {own:.0f} | {share * 100:.2f} |")


async def main(*, settle: float, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="dagwire-idle-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        directory = Path(name)
        database = stack.enter_context(PostgresServer(directory / "postgres"))
        database.provide(DATABASE, owner=OWNER, readers=[READER])
        async with nats_server(directory / "nats") as nats:
            with ExitStack() as inner:
                parts = list(services(inner, directory, nats, database))
                assert database.process is not None
                servers = [
                    Part("nats", psutil.Process(nats.pid)),
                    Part("postgres", psutil.Process(database.process.pid)),
                ]
                await measure([*parts, *servers], settle=settle, seconds=seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--settle", type=float, default=20)
    given = parser.parse_args()
    asyncio.run(main(settle=given.settle, seconds=given.seconds))
