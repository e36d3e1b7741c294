"""One client's feed: history from the store and live from the ring, joined with no gap and nothing twice.

The client has a position. At or after its lane's floor the ring serves it; before, the store does, as far as
it holds everything, and if that is not far enough the client waits for it. A client that falls behind the ring
thus reads from the store until it is back. The rules, and why they hold: docs/adr/0010-live-feed.md.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from dagwire_shared.errors import BusError

from dagwire_dagit import frames
from dagwire_dagit.cursors import BEGINNING, Cursor
from dagwire_dagit.errors import UnavailableError
from dagwire_dagit.hub import Hub, Watcher
from dagwire_dagit.ring import LIFE
from dagwire_dagit.store import EventQuery, Store

KEEP_ALIVE_SECONDS: Final = 15.0
RECHECK_SECONDS: Final = 2.0
"""How often a feed that waits for the store looks itself, should its signal be lost."""
CHUNK: Final = 256
"""How many events go to a client at once."""
PACE_SECONDS: Final = 0.01
"""The least time between two chunks to a client that is up to date: what comes sooner goes out together."""
PAGE: Final = 500
"""How many events are read from the store at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client asked for."""

    aggregate: str | None = None
    """A run's or schedule's id; None: the life of all."""
    kinds: frozenset[str] = field(default_factory=frozenset)
    """Empty: every kind of the lane."""
    after: Cursor | None = None
    """None: from the first event of the aggregate; of the whole instance: from now."""


class Feed:
    """The frames that one client gets, one after the other."""

    def __init__(
        self,
        hub: Hub,
        store: Store,
        wanted: Wanted,
        *,
        keep_alive: float = KEEP_ALIVE_SECONDS,
        recheck: float = RECHECK_SECONDS,
    ) -> None:
        self._hub = hub
        self._store = store
        self._wanted = wanted
        self._keep_alive = keep_alive
        self._recheck = recheck
        self._position = wanted.after if wanted.after is not None else BEGINNING

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield frames, or comments when there are none for a while, until the client has to go."""
        with self._hub.attend():
            yield frames.OPENING
            async for chunk in self._until_ready():
                yield chunk
            if self._hub.closing:
                return
            with self._hub.watch(self._wanted.aggregate) as watcher:
                if self._wanted.aggregate is None and self._wanted.after is None:
                    self._position = watcher.ring.head
                async for chunk in self._follow(watcher):
                    yield chunk

    async def _until_ready(self) -> AsyncIterator[bytes]:
        """Yield comments until the hub has reached the end of the stream once."""
        while not self._hub.caught_up and not self._hub.closing:
            try:
                async with asyncio.timeout(self._keep_alive):
                    await self._hub.ready()
            except TimeoutError:
                yield frames.KEEP_ALIVE

    async def _follow(self, watcher: Watcher) -> AsyncIterator[bytes]:
        told = False
        loop = asyncio.get_running_loop()
        while not watcher.closed:
            watcher.wake.clear()
            if hints := self._hub.hints(watcher):
                yield b"".join(hints)
            if self._position < watcher.ring.floor(watcher.lane):
                async for chunk in self._catch_up(watcher):
                    yield chunk
                continue
            entries = watcher.lane.after(self._position, limit=CHUNK)
            if entries:
                self._position = entries[-1].cursor
                chunk = b"".join([entry.frame for entry in entries if self._wants(entry.kind)])
                if chunk:
                    yield chunk
                continue
            self._position = max(self._position, watcher.ring.head)
            if not told:
                told = True
                yield frames.caught_up_frame(self._position)
                continue
            since = loop.time()
            if not await self._woken(watcher, self._keep_alive):
                yield frames.KEEP_ALIVE
            await asyncio.sleep(max(0.0, since + PACE_SECONDS - loop.time()))

    async def _catch_up(self, watcher: Watcher) -> AsyncIterator[bytes]:
        """Serve one page from the store, or wait until it holds more."""
        watcher.lagging = True  # from before the look, so that no signal is missed after it
        try:
            step = await self._behind(watcher)
            if step is not None:
                yield step
            elif not await self._woken(watcher, self._recheck):
                yield frames.KEEP_ALIVE
        finally:
            watcher.lagging = False

    async def _behind(self, watcher: Watcher) -> bytes | None:
        """Return the next page, empty if only the position moved; None: the store has to come further first."""
        try:
            progress = await self._store.progress()
            bound = watcher.ring.bound(watcher.lane, progress)
            if bound.through > self._position:
                return await self._page(bound.through)
            if bound.unsettled:
                await self._hub.settle(watcher, bound.unsettled, progress)
                return b""
        except (UnavailableError, BusError):
            return None  # readiness and log say so; the feed goes on when they are back
        return None

    async def _page(self, through: Cursor) -> bytes:
        query = EventQuery(
            aggregate=self._wanted.aggregate,
            kinds=self._kinds(),
            after=self._position,
            through=through,
            limit=PAGE,
        )
        page = await self._store.events(query)
        self._position = page[-1].cursor if len(page) == PAGE else through
        return b"".join([frames.event_frame(stored.cursor, stored.body.encode()) for stored in page])

    def _kinds(self) -> Sequence[str]:
        return sorted(self._wanted.kinds or (LIFE if self._wanted.aggregate is None else ()))

    def _wants(self, kind: str) -> bool:
        return not self._wanted.kinds or kind in self._wanted.kinds

    @staticmethod
    async def _woken(watcher: Watcher, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await watcher.wake.wait()
        except TimeoutError:
            return False
        return True
