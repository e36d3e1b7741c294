"""Empties an outbox, batch by batch and in order, into whatever takes them. When is decided here; how, elsewhere."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from dagwire_shared.bus import Message

from dagwire.worker.outbox import Outbox

LINGER_SECONDS: Final = 0.015
"""How long events gather after a batch was sent; the first event after a pause goes at once."""

Deliver = Callable[[Sequence[Message]], Awaitable[None]]
"""Returns when the batch is accepted, all of it."""


class Emptying:
    """Takes an outbox's events out until it is closed and empty."""

    def __init__(self, outbox: Outbox, deliver: Deliver, *, idle_seconds: float | None = None) -> None:
        """Set it up.

        Args:
            outbox: what is emptied.
            deliver: takes each batch, and an empty one after ``idle_seconds`` without events, or when nudged.
            idle_seconds: None: nothing is delivered while there is nothing.
        """
        self._outbox = outbox
        self._deliver = deliver
        self._idle = idle_seconds
        self._poked = asyncio.Event()
        self._nudged = False

    def nudge(self) -> None:
        """Deliver now, even if there is nothing; called in the loop."""
        self._nudged = True
        self._poked.set()

    async def run(self) -> None:
        """Deliver until the outbox is closed and empty. Raises what ``deliver`` raises."""
        loop = asyncio.get_running_loop()

        def poke() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody sends any more
                loop.call_soon_threadsafe(self._poked.set)

        self._outbox.connect(poke)
        sent = -LINGER_SECONDS
        while not self._outbox.drained:
            idle = await self._gather(sent + LINGER_SECONDS)
            batch = self._outbox.next_batch()
            if batch or idle:
                self._nudged = False
                await self._deliver(batch)
                self._outbox.acknowledge()
                sent = loop.time()

    async def _gather(self, until: float) -> bool:
        """Return when there is something to send, and enough of it or the time is up; True: to say so anyway."""
        self._poked.clear()
        if not self._outbox.waiting and not self._outbox.drained and not self._nudged:
            try:
                async with asyncio.timeout(self._idle):
                    await self._poked.wait()
            except TimeoutError:
                return True
        loop = asyncio.get_running_loop()
        while not self._outbox.urgent and not self._nudged and (left := until - loop.time()) > 0:
            self._poked.clear()
            try:
                async with asyncio.timeout(left):
                    await self._poked.wait()
            except TimeoutError:
                break
        return self._nudged
