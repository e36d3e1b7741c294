"""Writes a batch in one transaction: events, what follows from them, and how far the stream is stored.

Any number of stores may write the same shards at once. Each locks the shards' rows of ``progress`` first, leaves
out what is stored by then, and moves ``progress`` on in the same transaction. As every reader begins where
``progress`` stands and reads without a gap, what is stored of a shard is the stream's beginning, whole, whichever of
them commits.
"""

from collections.abc import Mapping, Sequence

import asyncpg

from dagwire_eventstore import queries
from dagwire_eventstore.batch import Batch, Row
from dagwire_eventstore.errors import OutOfStepError
from dagwire_eventstore.progress import Place
from dagwire_eventstore.views import Views


class Store:
    """The tables, for the events of some shards, on one connection."""

    def __init__(self, connection: asyncpg.Connection, shards: Sequence[str]) -> None:
        self._connection = connection
        self._shards = list(shards)
        self._stored: dict[str, Place] = {}

    async def progress(self) -> Mapping[str, Place]:
        """Return how far each shard is stored; to be asked before the first ``commit``."""
        await self._connection.execute(queries.BEGIN_PROGRESS, self._shards)
        self._stored = _places(await self._connection.fetch(queries.READ_PROGRESS, self._shards))
        return self._stored

    async def commit(self, batch: Batch) -> int:
        """Store a batch that follows what is stored, and return how many of its events are new.

        Raises:
            OutOfStepError: the database stands elsewhere than this store left it; read again from where it stands.
        """
        async with self._connection.transaction():
            locked = _places(await self._connection.fetch(queries.LOCK_PROGRESS, self._shards))
            self._check(locked, batch.epoch)
            new = await self._insert(batch.epoch, _not_stored(batch, locked))
            facts = [fact for fact in batch.facts if fact.seq in new]
            if facts:
                views = Views()
                await views.load(self._connection, facts)
                for fact in facts:
                    views.apply(fact)
                await views.save(self._connection)
            await self._connection.execute(queries.ADVANCE_PROGRESS, self._shards, batch.epoch, batch.through)
        place = (batch.epoch, batch.through)
        self._stored = {shard: max(place, there) for shard, there in locked.items()}
        return len(new)

    def _check(self, locked: Mapping[str, Place], epoch: int) -> None:
        for shard, place in self._stored.items():
            there = locked.get(shard)
            if there is None or there < place:
                raise OutOfStepError(f"shard {shard} is stored up to {there}, not {place} as before")
            if there[0] > epoch:
                raise OutOfStepError(f"shard {shard} is stored up to epoch {there[0]}, later than {epoch}")

    async def _insert(self, epoch: int, rows: Sequence[Row]) -> set[int]:
        if not rows:
            return set()
        found = await self._connection.fetch(queries.INSERT_EVENTS, epoch, *zip(*rows, strict=True))
        return {record[0] for record in found}


def _not_stored(batch: Batch, stored: Mapping[str, Place]) -> Sequence[Row]:
    """Return the rows of which ``progress`` does not say already that they are stored."""
    if not batch.rows or max(stored.values()) < (batch.epoch, batch.rows[0].seq):
        return batch.rows  # the usual case: nothing of this batch was seen before
    return [row for row in batch.rows if stored[row.aggregate[0]] < (batch.epoch, row.seq)]


def _places(records: Sequence[asyncpg.Record]) -> dict[str, Place]:
    return {record["shard"]: (record["epoch"], record["seq"]) for record in records}
