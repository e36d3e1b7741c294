"""The signals of the Bus port in memory."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from dagwire_shared.bus import Handler
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.memory.broker import MemoryBroker, matches

log = logging.getLogger(__name__)

WAITING_LIMIT: Final = 1024


class MemorySignals:
    """See ``bus.Signals``."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def notify(self, subject: str, body: bytes = b"") -> None:
        """Tell whoever listens; a listener that is too slow misses the oldest."""
        if not self._broker.online:
            return
        for pattern, waiting in self._broker.listeners:
            if matches(pattern, subject):
                if waiting.full():
                    waiting.get_nowait()
                waiting.put_nowait((subject, body))

    async def listen(self, subject: str) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield the subject and body of each notification."""
        waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(WAITING_LIMIT)
        listener = (subject, waiting)
        self._broker.listeners.append(listener)
        try:
            while True:
                yield await waiting.get()
        finally:
            self._broker.listeners.remove(listener)

    async def ask(self, subject: str, body: bytes, *, wait: timedelta) -> bytes:
        """Return one answer."""
        try:
            async with asyncio.timeout(wait.total_seconds()):
                while True:
                    await self._broker.reach()
                    for handler in self._handlers(subject):
                        try:
                            return await handler(body)
                        except Exception:
                            log.exception("question could not be answered", extra={"subject": subject})
                    await self._broker.served.wait()
        except TimeoutError:
            raise BusUnavailableError(f"nobody answered on {subject} within {wait.total_seconds():g} s") from None

    def _handlers(self, subject: str) -> Iterator[Handler]:
        groups: set[str] = set()
        for pattern, group, handler in tuple(self._broker.servers):
            if matches(pattern, subject) and group not in groups:
                groups.add(group)
                yield handler

    @asynccontextmanager
    async def serve(self, subject: str, handler: Handler, *, group: str) -> AsyncGenerator[None, None]:
        """Answer questions while the context is open; within a group one replica answers each."""
        server = (subject, group, handler)
        self._broker.servers.append(server)
        self._broker.served.happen()
        try:
            yield
        finally:
            self._broker.servers.remove(server)
