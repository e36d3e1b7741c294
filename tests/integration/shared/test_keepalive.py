"""A silent connection to the real code server stays, although it is probed; one to a frozen server is given up."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from dagwire_shared.locations import CodeServer, Locations, Status, client
from support.codeservers import running

SOME_SECONDS = 5.2
"""A little more than the server's least time between two probes."""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[CodeServer, asyncio.subprocess.Process]]:
    file = tmp_path / "repo.py"
    file.write_text("from dagwire import job, op\n@op\ndef load(): ...\n@job\ndef etl():\n    load()\n")
    command = [sys.executable, "-m", "dagwire.cli", "api", "grpc", "-f", str(file), "-p", "0"]
    with (tmp_path / "code.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    port = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["port"]
    yield CodeServer(name="code", host="127.0.0.1", port=port), process
    process.kill()
    await process.wait()


async def test_probes_of_a_silent_connection_are_permitted_and_find_a_frozen_server(served, monkeypatch):
    probing = dict(client.OPTIONS) | {
        "grpc.keepalive_time_ms": int(SOME_SECONDS * 1000),
        "grpc.keepalive_timeout_ms": 1000,
    }
    monkeypatch.setattr(client, "OPTIONS", tuple(probing.items()))
    address, process = served
    locations = Locations([address])
    seen: list[Status] = []

    async def watch(wanted: Status) -> None:
        async with aclosing(locations.changes()) as changes:
            async for location in changes:
                seen.append(location.status)
                if location.status is wanted:
                    return

    async with running(locations.run()):
        await asyncio.wait_for(watch(Status.LOADED), 30)
        seen.clear()
        with pytest.raises(TimeoutError):  # four probes; the server would cut the connection after the third
            await asyncio.wait_for(watch(Status.UNREACHABLE), 4.5 * SOME_SECONDS)
        assert set(seen) == {Status.LOADED}
        process.send_signal(signal.SIGSTOP)
        await asyncio.wait_for(watch(Status.UNREACHABLE), 30)
        process.send_signal(signal.SIGCONT)
        await asyncio.wait_for(watch(Status.LOADED), 30)
