"""A real code server: `dagwire api grpc` as a process, spoken to over gRPC."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import grpc
import pytest
from dagwire_protos.codeserver.v1.code_server_pb2_grpc import CodeServerStub

GOOD = """
    import threading
    from dagwire import Config, Preset, RunRequest, SkipReason, job, op, repository, schedule

    class LoadConfig(Config):
        limit: int = 10
        station: str

    @op
    def load(config: LoadConfig) -> int:
        return config.limit

    @op
    def report(rows: int) -> None: ...

    @job(presets=[Preset("berlin", {"ops": {"load": {"config": {"station": "berlin"}}}})])
    def weather():
        report(load())

    @schedule("0 6 * * *", job=weather, preset="berlin")
    def daily(context):
        match context.scheduled_execution_time.day:
            case 1:
                return SkipReason("no paper on the first")
            case 2:
                raise ValueError("nothing on the second")
            case 3:
                threading.Event().wait()
        return RunRequest()

    @repository
    def team():
        return [weather, daily]
"""


@dataclass
class Server:
    """A running code server."""

    process: asyncio.subprocess.Process
    port: int
    channel: grpc.aio.Channel
    log: Path
    calls: Any = field(init=False)

    def __post_init__(self) -> None:
        self.calls = CodeServerStub(self.channel)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the server, and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 20)


Start = Callable[..., Awaitable[Server]]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """The file that most tests serve."""
    return write(tmp_path / "code" / "repo.py", GOOD)


def write(file: Path, text: str) -> Path:
    """Write code into a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_text(dedent(text))
    partial.replace(file)
    return file


async def launch(*arguments: str, log: Path, env: dict[str, str] | None = None) -> asyncio.subprocess.Process:
    """Start `dagwire` as a process; its log goes into a file."""
    with log.open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dagwire.cli",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(env or {})},
        )


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """A function that starts a code server and waits until it answers."""
    servers: list[Server] = []

    async def start_(*arguments: str, port: int = 0, env: dict[str, str] | None = None) -> Server:
        log = tmp_path / "server.log"
        process = await launch("api", "grpc", "-p", str(port), *arguments, log=log, env=env)
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, log.read_text()
        ready = json.loads(line)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{ready['port']}")
        server = Server(process, ready["port"], channel, log)
        servers.append(server)
        return server

    yield start_
    for server in servers:
        await server.channel.close()
        await server.stop(signal.SIGKILL)
