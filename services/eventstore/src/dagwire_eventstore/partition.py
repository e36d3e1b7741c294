"""Stores the events of one partition: reads the stream ahead while PostgreSQL works, commits, then tells who listens.

Nothing is acknowledged to the bus. How far the stream is stored stands in the database, written with the events
themselves (ADR 0005); after any failure reading begins there again.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from dagwire_shared.bus import Batch as Followed
from dagwire_shared.bus import Bus
from dagwire_shared.errors import BusError, BusUnavailableError
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import SHARDS, STORED_SIGNAL, shard_filter

from dagwire_eventstore.batch import Batch, Dead, read_batch, split
from dagwire_eventstore.database import REFUSED
from dagwire_eventstore.errors import OutOfStepError
from dagwire_eventstore.metrics import Metrics
from dagwire_eventstore.progress import Start, begin
from dagwire_eventstore.store import Store

log = logging.getLogger(__name__)

_AHEAD: Final = 4
"""How many read batches may wait for PostgreSQL."""
_BATCH_BYTES: Final = 16 * 2**20
"""A transaction is not filled up beyond this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much at once, and how often the stream is looked after."""

    batch_size: int
    watch_seconds: float


class Partition:
    """The events of some shards, on their way from the bus to one ``Store``."""

    def __init__(self, bus: Bus, store: Store, shards: Sequence[str], *, pace: Pace, metrics: Metrics) -> None:
        self._bus = bus
        self._store = store
        self._shards = shards
        # Without a filter where everything is wanted: that is cheapest for the server.
        self._subjects = () if len(shards) == len(SHARDS) else tuple(shard_filter(shard) for shard in shards)
        self._pace = pace
        self._metrics = metrics
        self._read: asyncio.Queue[Batch] = asyncio.Queue(_AHEAD)
        self._through = 0

    async def run(self) -> None:
        """Store events without end.

        Raises:
            StreamBehindError: the stream is older than what is stored.
            OutOfStepError: stream or database moved; run anew.
            BusError: the stream's position could not be learned; run anew.
        """
        stored = await self._store.progress()
        start = begin(stored, await self._bus.streams.position(EVENTS))  # after ``stored``, so never behind it
        self._through = start.after
        extra = {"shards": "".join(self._shards), "epoch": start.epoch, "after": start.after}
        log.info("partition opened", extra=extra)
        if start.expired:
            log.error("stream forgot events before they were stored", extra={**extra, "sequences": start.expired})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_ahead(start))
            tasks.create_task(self._write(start.epoch))
            tasks.create_task(self._watch(start.epoch))

    async def _read_ahead(self, start: Start) -> None:
        async with self._following(after=start.after) as batches:
            async for batch in batches:
                if batch.epoch != start.epoch:
                    raise OutOfStepError(f"the stream {EVENTS.name} was rebuilt: its epoch is now {batch.epoch}")
                if batch.deliveries:
                    self._through = batch.deliveries[-1].sequence
                    await self._read.put(read_batch(batch.deliveries, epoch=start.epoch))

    async def _write(self, epoch: int) -> None:
        while True:
            batch = await self._read.get()
            while len(batch.rows) < self._pace.batch_size and batch.size < _BATCH_BYTES and not self._read.empty():
                batch.extend(self._read.get_nowait())
            await self._record(batch)
            shards = dict.fromkeys(self._shards, batch.through)
            await self._bus.signals.notify(STORED_SIGNAL, json.dumps({"epoch": epoch, "shards": shards}).encode())

    async def _record(self, batch: Batch) -> None:
        """Store a batch; what PostgreSQL refuses is found, set aside, and does not hold up the rest."""
        for dead in batch.dead:  # before the commit: afterwards nobody would read the message again
            await self._bury(dead, batch.epoch)
        began = time.perf_counter()
        try:
            new = await self._store.commit(batch)
        except REFUSED as error:
            parts = split(batch, f"{type(error).__name__}: {error}")
            if not parts:
                raise
            for part in parts:
                await self._record(part)
            return
        self._metrics.batch_stored(events=len(batch.rows), new=new, seconds=time.perf_counter() - began)

    async def _bury(self, dead: Dead, epoch: int) -> None:
        try:
            await self._bus.streams.publish(dead.message(epoch))
        except BusUnavailableError:
            raise
        except BusError:  # too large with the headers that say why; its place in the stream tells the rest
            await self._bus.streams.publish(dead.message(epoch, with_body=False))
        self._metrics.message_buried()
        log.warning("message buried", extra={"sequence": dead.delivery.sequence, "cause": dead.cause})

    async def _watch(self, epoch: int) -> None:
        """Notice what a reader that only waits does not: a stream rebuilt, cut short, or grown in other shards."""
        while True:
            await asyncio.sleep(self._pace.watch_seconds)
            read = self._through
            try:
                position = await self._bus.streams.position(EVENTS)
            except BusUnavailableError:
                continue
            if position.epoch != epoch or position.last < read:
                raise OutOfStepError(f"the stream {EVENTS.name} was rebuilt or lost its newest messages")
            if position.last > read and await self._nothing_after(read) and self._through == read:
                self._through = position.last
                await self._read.put(Batch(epoch, through=position.last))

    async def _nothing_after(self, sequence: int) -> bool:
        """Whether the stream holds nothing for these shards after ``sequence``, so that progress may move on."""
        async with self._following(after=sequence) as batches:
            batch = await anext(batches)
        return batch.caught_up and not batch.deliveries

    @asynccontextmanager
    async def _following(self, *, after: int) -> AsyncIterator[AsyncIterator[Followed]]:
        batches = self._bus.streams.follow(EVENTS, subjects=self._subjects, after=after)
        try:
            yield batches
        finally:
            if isinstance(batches, AsyncGenerator):
                await batches.aclose()  # at once: it holds a consumer on the server
