"""A real Docker engine: where it is, a gate before it that can be shut, and workers that are shell scripts."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aiodocker
from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.docker.container import INSTANCE
from dagwire_shared.commands import RunCode
from dagwire_shared.ids import RunId, run_id_for
from dagwire_shared.records import CodePointer

SOCKET = Path("/var/run/docker.sock")
IMAGE = os.environ.get("DAGWIRE_TEST_IMAGE", "python:3.13-slim-bookworm")
"""Has ``sh`` and ``python3``."""


def address() -> str:
    """The engine's address."""
    return os.environ.get("DOCKER_HOST") or f"unix://{SOCKET}"


def missing() -> str | None:
    """What these tests lack, or None."""
    if "DOCKER_HOST" in os.environ or SOCKET.is_socket():
        return None
    return f"these tests need a Docker engine: set DOCKER_HOST, or start the one that listens on {SOCKET}"


class Gate:
    """A way to the engine that can be shut: then whoever uses it is cut off, and nobody gets in."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, _, where = address().partition("://")
        if kind == "unix":
            onward = await asyncio.open_unix_connection(where)
        else:
            onward = await asyncio.open_connection(*where.split(":"))
        self._writers |= {writer, onward[1]}
        ways = [asyncio.create_task(_pass(reader, onward[1])), asyncio.create_task(_pass(onward[0], writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, onward[1]):
            self._writers.discard(end)
            end.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class Place:
    """Where a test's workers are made: containers of an instance of the test's own."""

    def __init__(self, client: aiodocker.Docker, folder: Path) -> None:
        self.client = client
        self.instance = f"test-{uuid4().hex[:12]}"
        self.folder = folder

    def order(self, script: str, *, key: str = "k", image: str | None = IMAGE, executable: str = "") -> WorkerOrder:
        """An order whose worker is a shell script, which finds itself below ``/test``."""
        file = self.folder / f"{key}.sh"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        pointer = CodePointer(working_directory="/test", executable=executable or f"/test/{key}.sh")
        return WorkerOrder(
            run_id=self.run_id(key),
            job="job",
            location="here",
            message=b'{"a": 1}',
            code=RunCode(pointer=pointer, image=image),
        )

    def run_id(self, key: str = "k") -> RunId:
        """The run of an order; no other test has it."""
        return run_id_for(f"{self.instance}:{key}")

    async def names(self) -> set[str]:
        """The containers of this instance."""
        filters = f'{{"label": ["{INSTANCE}={self.instance}"]}}'
        return {one["Names"][0].lstrip("/") for one in await self.client.containers.list(all=True, filters=filters)}


@contextlib.asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """A place whose containers are gone at the end."""
    folder.mkdir(mode=0o755)  # noqa: ASYNC240 -- a test's own
    async with aiodocker.Docker(url=address()) as client:
        here = Place(client, folder)
        try:
            yield here
        finally:
            for name in await here.names():
                with contextlib.suppress(aiodocker.DockerError):
                    await client.containers.container(name).delete(force=True, v=True)
