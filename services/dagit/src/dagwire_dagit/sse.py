"""The HTTP answer that streams a feed: headers, the client's disconnection, and the bound on a slow client."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Final

from fastapi import Response
from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

STALL_SECONDS: Final = 20.0
"""How long a client may leave what was sent to it unread. The buffer in between is the transport's, 64 KiB."""


class EventStream(Response):
    """Sends chunks as they come, until they end, the client goes away, or it stops reading."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes, None], *, stall_seconds: float = STALL_SECONDS) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI's signature
        """Stream the chunks."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        streaming = asyncio.create_task(self._stream(send))
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if streaming.done():
                streaming.result()
        finally:
            for task in (streaming, leaving):
                task.cancel()
            await asyncio.gather(streaming, leaving, return_exceptions=True)

    async def _stream(self, send: Send) -> None:
        async with contextlib.aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                if chunk and not await self._sent(send, chunk):
                    log.info("slow client disconnected", extra={"stall_seconds": self._stall_seconds})
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _sent(self, send: Send, chunk: bytes) -> bool:
        try:
            async with asyncio.timeout(self._stall_seconds):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            return False
        return True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
