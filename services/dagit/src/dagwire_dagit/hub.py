"""The hub: one follower of the events stream per replica, fanned out to every client of this process.

It keeps the ring filled and wakes the clients whose lanes grew. What a client is sent next, ``feed`` decides.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from dagwire_shared.bus import Batch, Bus, Position
from dagwire_shared.errors import BusError, MalformedMessageError
from dagwire_shared.ids import RunId
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import SHARDS, STORED_SIGNAL, shard_filter

from dagwire_dagit.cursors import BEGINNING, Cursor
from dagwire_dagit.entries import Entry, read_entry
from dagwire_dagit.errors import UnavailableError
from dagwire_dagit.ring import LIFE, Lane, Ring
from dagwire_dagit.store import Progress, Store

log = logging.getLogger(__name__)

RING_BYTES: Final = 64 * 2**20
REPLAY: Final = 20_000
"""How many events are read again at most when a replica starts while the store lags or is away."""
RETRY_SECONDS: Final = 1.0
EPOCH_CHECK_SECONDS: Final = 10.0
HINTS_KEPT: Final = 256


class Watcher:
    """A client's place in the hub: what wakes it, and whether it has to go."""

    def __init__(self, ring: Ring, lane: Lane, hinted: int) -> None:
        self.ring = ring
        self.lane = lane
        self.wake = asyncio.Event()
        self.closed = False
        """True: the stream was rebuilt or this process ends; the client shall come again."""
        self.lagging = False
        """True: it waits for the store, so the store's signal wakes it too."""
        self.hinted = hinted


class Hub:
    """Follows the events stream for all clients of this process."""

    def __init__(self, bus: Bus, store: Store, *, ring_bytes: int = RING_BYTES, replay: int = REPLAY) -> None:
        self._bus = bus
        self._store = store
        self._ring_bytes = ring_bytes
        self._replay = replay
        self._ring: Ring | None = None
        self._started = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._closing = False
        self._clients = 0
        self._watchers: dict[str | None, set[Watcher]] = {}
        self._hints: deque[tuple[int, bytes]] = deque(maxlen=HINTS_KEPT)
        self._hint_count = 0
        self._settling = asyncio.Lock()

    @property
    def epoch(self) -> int | None:
        """The epoch of the events stream; None before the bus was reached."""
        return None if self._ring is None else self._ring.head.epoch

    @property
    def caught_up(self) -> bool:
        """Whether the end of the stream was reached once."""
        return self._caught_up.is_set()

    @property
    def closing(self) -> bool:
        """Whether this process is about to end."""
        return self._closing

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return self._clients

    async def ready(self) -> None:
        """Return when the end of the stream was reached once."""
        await self._caught_up.wait()

    async def run(self) -> None:
        """Follow the stream, over outages and rebuilds, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_again(self._listen))
            group.create_task(_again(self._follow))

    def close(self) -> None:
        """End every client's connection: they resume elsewhere, or here when this process is back."""
        self._closing = True
        self._close_watchers()

    @contextlib.contextmanager
    def attend(self) -> Iterator[None]:
        """Count a client while it is connected."""
        self._clients += 1
        try:
            yield
        finally:
            self._clients -= 1

    @contextlib.contextmanager
    def watch(self, aggregate: str | None) -> Iterator[Watcher]:
        """Watch one run or schedule, or the life of all. Only after ``ready``."""
        ring = self._ring
        assert ring is not None  # noqa: S101 -- the docstring says so
        lane = ring.life if aggregate is None else ring.lane(aggregate)
        watcher = Watcher(ring, lane, self._hint_count)
        watcher.closed = self._closing
        group = self._watchers.setdefault(aggregate, set())
        group.add(watcher)
        lane.watched += 1
        try:
            yield watcher
        finally:
            lane.watched -= 1
            group.discard(watcher)
            if not group:
                self._watchers.pop(aggregate, None)
            if aggregate is not None:
                ring.release(aggregate)

    def hint(self, frame: bytes) -> None:
        """Send a frame to every client that is connected now."""
        self._hint_count += 1
        self._hints.append((self._hint_count, frame))
        self._wake(self._watchers)

    def hints(self, watcher: Watcher) -> Sequence[bytes]:
        """Return the hints that the client has not had; the oldest are lost when there are very many."""
        if watcher.hinted == self._hint_count:
            return ()
        seen, watcher.hinted = watcher.hinted, self._hint_count
        return [frame for number, frame in self._hints if number > seen]

    def recent(self, run_id: RunId) -> Sequence[Entry]:
        """Return all events of a run if the ring holds it from its first event on; else nothing."""
        lane = None if self._ring is None else self._ring.peek(run_id)
        if self._ring is None or lane is None or self._ring.floor(lane) != BEGINNING:
            return ()
        return lane.entries()

    async def settle(self, watcher: Watcher, shards: Sequence[str], progress: Progress) -> None:
        """Find out whether anything of these shards lies between the store's progress and the ring.

        A shard in which nothing happens makes no progress either; only the stream knows that it is complete.
        """
        async with self._settling:
            ring = watcher.ring
            bound = ring.bound(watcher.lane, progress)
            wanted = [shard for shard in shards if shard in bound.unsettled]
            if wanted:
                newest = await self._newest(ring.start, {shard: progress.get(shard, BEGINNING) for shard in wanted})
                for shard, cursor in newest.items():
                    ring.settle(shard, cursor)

    async def _newest(self, start: Cursor, stored: Mapping[str, Cursor]) -> Mapping[str, Cursor]:
        """Return each shard's newest event up to ``start``, or what is stored of it if there is none after that."""
        newest = dict(stored)
        after = min(cursor.sequence if cursor.epoch == start.epoch else 0 for cursor in stored.values())
        filters = [shard_filter(shard) for shard in stored]
        async for batch in self._bus.streams.follow(EVENTS, subjects=filters, after=after):
            if batch.epoch != start.epoch:
                break  # the hub is about to begin anew as well
            for delivery in batch.deliveries:
                if delivery.sequence <= start.sequence:
                    shard = delivery.subject.split(".")[3]
                    newest[shard] = max(newest[shard], Cursor(start.epoch, delivery.sequence))
            if batch.caught_up or batch.deliveries[-1].sequence > start.sequence:
                break
        return newest

    async def _follow(self) -> None:
        """Follow one epoch of the stream until it is rebuilt."""
        position = await self._bus.streams.position(EVENTS)
        if self._ring is None or self._ring.head.epoch != position.epoch:
            await self._begin(position)
        tasks = {asyncio.create_task(self._read()), asyncio.create_task(self._epoch_change(position.epoch))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, position: Position) -> None:
        start = start_after(position, await self._progress(), replay=self._replay)
        self._caught_up.clear()
        self._ring = Ring(start=Cursor(position.epoch, start), limit=self._ring_bytes)
        self._close_watchers()
        log.info("following events", extra={"epoch": position.epoch, "after": start, "last": position.last})

    async def _progress(self) -> Progress:
        try:
            return await self._store.progress()
        except UnavailableError:
            return {}

    async def _read(self) -> None:
        assert self._ring is not None  # noqa: S101 -- _begin made it
        async for batch in self._bus.streams.follow(EVENTS, after=self._ring.head.sequence):
            if batch.epoch != self._ring.head.epoch:
                return  # the stream was rebuilt: its sequences began anew
            self._take(self._ring, batch)

    def _take(self, ring: Ring, batch: Batch) -> None:
        touched: set[str | None] = set()
        for delivery in batch.deliveries:
            try:
                entry = read_entry(ring.head.epoch, delivery)
            except MalformedMessageError as error:
                facts = {"subject": delivery.subject, "sequence": delivery.sequence, "cause": str(error)}
                log.warning("not an event", extra=facts)
                ring.skip(Cursor(ring.head.epoch, delivery.sequence))
                continue
            if ring.append(entry):
                touched.add(entry.aggregate)
                if entry.kind in LIFE:
                    touched.add(None)
        if batch.caught_up:
            self._caught_up.set()
        self._wake(touched & self._watchers.keys())

    async def _epoch_change(self, epoch: int) -> None:
        while True:
            await asyncio.sleep(EPOCH_CHECK_SECONDS)
            with contextlib.suppress(BusError):
                position = await self._bus.streams.position(EVENTS)
                if position.epoch != epoch:
                    return

    async def _listen(self) -> None:
        async for _ in self._bus.signals.listen(STORED_SIGNAL):
            for group in self._watchers.values():
                for watcher in group:
                    if watcher.lagging:
                        watcher.wake.set()

    def _wake(self, aggregates: Iterable[str | None]) -> None:
        for aggregate in aggregates:
            for watcher in self._watchers[aggregate]:
                watcher.wake.set()

    def _close_watchers(self) -> None:
        for group in self._watchers.values():
            for watcher in group:
                watcher.closed = True
                watcher.wake.set()


async def _again(work: Callable[[], Awaitable[None]]) -> None:
    """Do it for ever, with a pause after the bus failed."""
    while True:
        try:
            await work()
        except BusError as error:
            log.warning("bus not reachable, trying again", extra={"cause": str(error)})
            await asyncio.sleep(RETRY_SECONDS)


def start_after(position: Position, progress: Progress, *, replay: int) -> int:
    """Return the sequence after which a new replica follows, so that history and ring overlap.

    It is where the store's slowest shard is, but not so far back that the start takes long.
    """
    stored = [progress.get(shard, BEGINNING) for shard in SHARDS]
    slowest = min(cursor.sequence if cursor.epoch == position.epoch else 0 for cursor in stored)
    return min(max(slowest, position.last - replay, position.first - 1, 0), position.last)
