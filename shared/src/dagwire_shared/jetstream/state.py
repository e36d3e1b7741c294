"""The state bucket on JetStream: a NATS key-value bucket, written by compare-and-set."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final
from uuid import uuid4

from dagwire_shared.bus import Delivery, Entry, Message
from dagwire_shared.errors import ConflictError
from dagwire_shared.jetstream.connection import Connection
from dagwire_shared.jetstream.follower import Follower
from dagwire_shared.jetstream.streams import JetStreamStreams
from dagwire_shared.streams import STATE_BUCKET
from dagwire_shared.subjects import check_state_key

STREAM: Final = f"KV_{STATE_BUCKET}"
PREFIX: Final = f"$KV.{STATE_BUCKET}."
OPERATION: Final = "KV-Operation"
_DELETIONS: Final = frozenset({"DEL", "PURGE"})


class JetStreamState:
    """See ``bus.State``."""

    def __init__(self, connection: Connection, streams: JetStreamStreams) -> None:
        self._connection = connection
        self._streams = streams

    async def get(self, key: str) -> Entry | None:
        """Return the current value, or None."""
        found = await self._last(key)
        return None if found is None or found.value is None else found

    async def _last(self, key: str) -> Entry | None:
        delivery = await self._streams.reader.last(STREAM, PREFIX + check_state_key(key))
        return None if delivery is None else _entry(delivery)

    async def put(self, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Write a value; see ``bus.State.put``."""
        return await self._write(Message(PREFIX + check_state_key(key), value, id=uuid4().hex), revision)

    async def delete(self, key: str, *, revision: int | None = None) -> None:
        """Delete a key; ``revision`` as in ``put``."""
        message = Message(PREFIX + check_state_key(key), b"", id=uuid4().hex, headers={OPERATION: "DEL"})
        await self._write(message, revision)

    async def _write(self, message: Message, revision: int | None) -> int:
        publish = self._streams.publisher.publish
        try:
            receipt = await publish(message, stream=STREAM, expected_last=revision)
        except ConflictError:
            marker = await self._last(message.subject.removeprefix(PREFIX)) if revision == 0 else None
            if marker is None or marker.value is not None:
                raise
            receipt = await publish(message, stream=STREAM, expected_last=marker.revision)
        self._streams.reader.note(STREAM, message.subject, receipt.sequence)
        return receipt.sequence

    async def watch(self, prefix: str) -> AsyncIterator[Entry | None]:
        """Yield current entries, None, then changes; see ``bus.State.watch``."""
        below = prefix.rstrip(".")
        subject = f"{PREFIX}{check_state_key(below)}.>" if below else f"{PREFIX}>"
        current = True
        async with aclosing(Follower(self._connection, STREAM, [subject], 0).batches()) as batches:
            async for batch in batches:
                for delivery in batch.deliveries:
                    entry = _entry(delivery)
                    if not current or entry.value is not None:
                        yield entry
                if current and batch.caught_up:
                    current = False
                    yield None


def _entry(delivery: Delivery) -> Entry:
    deleted = delivery.headers.get(OPERATION) in _DELETIONS or "Nats-Marker-Reason" in delivery.headers
    return Entry(
        delivery.subject.removeprefix(PREFIX), None if deleted else delivery.body, delivery.sequence, delivery.time
    )
