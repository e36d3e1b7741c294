"""A TCP proxy that cuts connections: after so many bytes, or when told. Makes faults happen at every place."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from support.nats import free_port


class Proxy:
    """Passes bytes on, until a connection has carried what ``allowance`` says; then that connection ends."""

    def __init__(self, target_port: int, allowance: Callable[[], int | None]) -> None:
        self.port = free_port()
        self.cuts = 0
        self._target_port = target_port
        self._allowance = allowance
        self.tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        allowance = self._allowance()
        try:
            onward = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, onward[1]}
        ways = [
            asyncio.create_task(self._pass(reader, onward[1], allowance)),
            asyncio.create_task(self._pass(onward[0], writer, None)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        for end in (writer, onward[1]):
            self._writers.discard(end)
            end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowance: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                if allowance is not None:
                    allowance -= len(data)
                    if allowance <= 0:
                        self.cuts += 1
                        writer.write(data[:allowance])
                        await writer.drain()
                        return
                writer.write(data)
                await writer.drain()

    def cut(self) -> None:
        """End every connection now."""
        self.cuts += 1
        for writer in tuple(self._writers):
            writer.transport.abort()


@contextlib.asynccontextmanager
async def proxy(target_port: int, allowance: Callable[[], int | None] = lambda: None) -> AsyncIterator[Proxy]:
    """Run a proxy to a port of this machine while the context is open."""
    running = Proxy(target_port, allowance)
    server = await asyncio.start_server(running.accept, "127.0.0.1", running.port)
    try:
        yield running
    finally:
        server.close()
        running.cut()
        await asyncio.gather(*running.tasks)
