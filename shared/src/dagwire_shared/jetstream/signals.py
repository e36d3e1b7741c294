"""Signals on core NATS: notifications and questions that leave no trace."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from nats.aio.msg import Msg

from dagwire_shared.bus import Handler
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.jetstream import api
from dagwire_shared.jetstream.connection import Connection, DisconnectedError, UnansweredError

log = logging.getLogger(__name__)

HeadedHandler = Callable[[bytes, Mapping[str, str]], Awaitable[bytes | None]]

_WAITING_LIMIT: Final = 1024
_HANDLERS_LIMIT: Final = 64
_ASK_AGAIN_SECONDS: Final = 0.05


class JetStreamSignals:
    """See ``bus.Signals``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def notify(self, subject: str, body: bytes = b"") -> None:
        """Tell whoever listens; lost while the connection is away."""
        try:
            await self._connection.publish(subject, body)
        except DisconnectedError as error:
            log.debug("notification lost", extra={"subject": subject, "cause": str(error)})

    async def listen(self, subject: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield each notification; a listener that is too slow misses the oldest."""
        waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_WAITING_LIMIT)

        async def keep(msg: Msg) -> None:
            if waiting.full():
                waiting.get_nowait()
            waiting.put_nowait((msg.subject, msg.data))

        subscribed = await self._connection.subscribe(subject, keep, limit=_WAITING_LIMIT)
        try:
            await self._connection.settled()
            self._connection.raise_if_denied(subject)
            while True:
                yield await waiting.get()
        finally:
            await subscribed.close()

    async def ask(self, subject: str, body: bytes, *, wait: timedelta) -> bytes:
        """Return one answer; asks again while nobody is there to be asked."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait.total_seconds()
        while (left := end - loop.time()) > 0:
            try:
                reply = await self._connection.request(subject, body, wait=left)
                if (reply.headers or {}).get(api.STATUS) != api.NO_RESPONDERS:
                    return reply.data
            except (DisconnectedError, UnansweredError) as error:
                log.debug("question unanswered", extra={"subject": subject, "cause": str(error)})
            await asyncio.sleep(min(_ASK_AGAIN_SECONDS, max(0.0, end - loop.time())))
        raise BusUnavailableError(f"nobody answered on {subject} within {wait.total_seconds():g} s")

    @asynccontextmanager
    async def serve(self, subject: str, handler: Handler, *, group: str) -> AsyncIterator[None]:
        """Answer questions while the context is open."""

        async def answer(body: bytes, _headers: Mapping[str, str]) -> bytes:
            return await handler(body)

        async with self.serve_headed(subject, answer, group=group):
            yield

    @asynccontextmanager
    async def serve_headed(self, subject: str, handler: HeadedHandler, *, group: str) -> AsyncIterator[None]:
        """Answer questions that have headers while the context is open; None leaves a question unanswered."""
        free = asyncio.Semaphore(_HANDLERS_LIMIT)
        tasks: set[asyncio.Task[None]] = set()

        async def answer(msg: Msg) -> None:
            try:
                said = await handler(msg.data, msg.headers or {})
                if said is not None:
                    await self._connection.publish(msg.reply, said)
            except DisconnectedError as error:
                log.debug("answer lost", extra={"subject": subject, "cause": str(error)})
            except Exception:
                log.exception("question could not be answered", extra={"subject": subject})
            finally:
                free.release()

        async def begin(msg: Msg) -> None:
            if not msg.reply:
                return
            await free.acquire()
            task = asyncio.create_task(answer(msg))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        subscribed = await self._connection.subscribe(subject, begin, queue=group, limit=_WAITING_LIMIT)
        try:
            await self._connection.settled()
            self._connection.raise_if_denied(subject)
            yield
        finally:
            await subscribed.close(drain=True)
            await asyncio.gather(*tasks, return_exceptions=True)
