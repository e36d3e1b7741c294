"""The state bucket of the Bus port in memory."""

import itertools
from collections.abc import AsyncGenerator
from typing import Final

from dagwire_shared.bus import PUBLISH_DEADLINE, Delivery, Entry, Message
from dagwire_shared.memory.broker import STATE, STATE_PREFIX, MemoryBroker
from dagwire_shared.memory.streams import MemoryStreams
from dagwire_shared.subjects import check_state_key

_DELETED: Final = "KV-Operation"


class MemoryState:
    """See ``bus.State``."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._streams = MemoryStreams(broker)
        self._ids = itertools.count()

    async def get(self, key: str) -> Entry | None:
        """Return the current value, or None."""
        await self._broker.reach(PUBLISH_DEADLINE)
        found = self._broker.logs[STATE.name].last(STATE_PREFIX + check_state_key(key))
        entry = None if found is None else _entry(found)
        return None if entry is None or entry.value is None else entry

    async def put(self, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Write a value, and return its revision."""
        return await self._write(key, value, revision, {})

    async def delete(self, key: str, *, revision: int | None = None) -> None:
        """Delete a key."""
        await self._write(key, b"", revision, {_DELETED: "DEL"})

    async def _write(self, key: str, value: bytes, revision: int | None, headers: dict[str, str]) -> int:
        await self._broker.reach(PUBLISH_DEADLINE)
        bucket = self._broker.logs[STATE.name]
        kept = bucket.last(STATE_PREFIX + check_state_key(key))
        if revision == 0 and kept is not None and _DELETED in kept.headers:
            revision = kept.sequence
        message = Message(STATE_PREFIX + key, value, id=f"{id(self)}-{next(self._ids)}", headers=headers)
        return bucket.append(message, revision).sequence

    async def watch(self, prefix: str) -> AsyncGenerator[Entry | None, None]:
        """Yield every current entry below ``prefix``, then None once, then each change as it happens."""
        below = prefix.rstrip(".")
        subject = f"{STATE_PREFIX}{check_state_key(below)}.>" if below else f"{STATE_PREFIX}>"
        current = True
        async for batch in self._streams.follow(STATE, subjects=[subject]):
            for delivery in batch.deliveries:
                entry = _entry(delivery)
                if not current or entry.value is not None:
                    yield entry
            if current and batch.caught_up:
                current = False
                yield None


def _entry(delivery: Delivery) -> Entry:
    value = None if _DELETED in delivery.headers else delivery.body
    return Entry(delivery.subject.removeprefix(STATE_PREFIX), value, delivery.sequence, delivery.time)
