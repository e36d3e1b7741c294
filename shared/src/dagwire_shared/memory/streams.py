"""The streams of the Bus port in memory."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final

from dagwire_shared.bus import PUBLISH_DEADLINE, Batch, Consumer, Delivery, Message, Position, Receipt
from dagwire_shared.memory.broker import Durable, Held, MemoryBroker
from dagwire_shared.streams import Stream

BATCH: Final = 1000


class MemorySubscription:
    """See ``bus.Subscription``."""

    def __init__(self, broker: MemoryBroker, consumer: Consumer) -> None:
        self._broker = broker
        self._consumer = consumer
        self._log = broker.logs[consumer.stream.name]
        self._durable = self._log.durables.setdefault(consumer.name, Durable())
        self._mine: set[int] = set()
        self._clock = asyncio.get_running_loop().time

    async def batch(self, limit: int, *, wait: timedelta) -> Sequence[Delivery]:
        """Return 1 to ``limit`` deliveries as soon as there are any, or none after ``wait``."""
        end = self._clock() + wait.total_seconds()
        while True:
            await asyncio.sleep(0)
            found = self._collect(limit) if self._broker.online else []
            if found or self._clock() >= end:
                return found
            due = [held.due for held in self._durable.held.values()]
            await self._log.changed.wait(max(0.0, min([end, *due]) - self._clock()))

    def _collect(self, limit: int) -> list[Delivery]:
        now, held = self._clock(), self._durable.held
        for gone in [sequence for sequence in held if sequence not in self._log.messages]:
            del held[gone]
        again = sorted(sequence for sequence, one in held.items() if one.due <= now)[:limit]
        found = [self._log.messages[sequence] for sequence in again]
        room = min(limit - len(found), self._consumer.max_unacknowledged - len(held))
        if room > 0:
            fresh = self._log.read(self._durable.cursor, self._consumer.subjects, room)
            if fresh:
                self._durable.cursor = fresh[-1].sequence
            found += fresh
        return [self._hold(one, now) for one in sorted(found, key=lambda one: one.sequence)]

    def _hold(self, delivery: Delivery, now: float) -> Delivery:
        held = self._durable.held.setdefault(delivery.sequence, Held(0.0, 0))
        held.due = now + self._consumer.ack_wait.total_seconds()
        held.times += 1
        self._mine.add(delivery.sequence)
        return replace(delivery, redelivered=held.times > 1)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Confirm the deliveries: they never come again."""
        await self._broker.reach(PUBLISH_DEADLINE)
        for one in deliveries:
            self._durable.held.pop(one.sequence, None)
            self._mine.discard(one.sequence)
        self._log.changed.happen()

    async def retry(self, delivery: Delivery, *, after: timedelta) -> None:
        """Ask for this delivery again after a while."""
        held = self._durable.held.get(delivery.sequence)
        if held is not None:
            held.due = self._clock() + after.total_seconds()
            self._mine.discard(delivery.sequence)
            self._log.changed.happen()

    def close(self) -> None:
        """Give back what was not acknowledged."""
        for sequence in self._mine:
            if sequence in self._durable.held:
                self._durable.held[sequence].due = self._clock()
        self._log.changed.happen()


class MemoryStreams:
    """See ``bus.Streams``."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(
        self, message: Message, *, expected_last: int | None = None, deadline: timedelta = PUBLISH_DEADLINE
    ) -> Receipt:
        """Publish one message."""
        await self._broker.reach(deadline)
        return self._broker.log_of(message.subject).append(message, expected_last)

    async def publish_all(
        self, messages: Sequence[Message], *, deadline: timedelta = PUBLISH_DEADLINE
    ) -> Sequence[Receipt]:
        """Publish many messages in order."""
        await self._broker.reach(deadline)
        return [self._broker.log_of(one.subject).append(one) for one in messages]

    async def follow(
        self, stream: Stream, *, subjects: Sequence[str] = (), after: int = 0
    ) -> AsyncGenerator[Batch, None]:
        """Read from the message after sequence ``after`` on, without end."""
        source = self._broker.logs[stream.name]
        told = False
        while True:
            await self._broker.reach()
            found = source.read(after, subjects, BATCH)
            if found:
                after = found[-1].sequence
            caught_up = not source.read(after, subjects, 1)
            if found or (caught_up and not told):
                told = told or caught_up
                yield Batch(found, caught_up=caught_up, epoch=source.epoch)
            else:
                await source.changed.wait()

    @asynccontextmanager
    async def consume(self, consumer: Consumer) -> AsyncGenerator[MemorySubscription, None]:
        """Open a durable consumer."""
        await self._broker.reach(PUBLISH_DEADLINE)
        subscription = MemorySubscription(self._broker, consumer)
        try:
            yield subscription
        finally:
            subscription.close()

    async def last(self, stream: Stream, subject: str) -> Delivery | None:
        """Return the last message on a subject, or None."""
        await self._broker.reach(PUBLISH_DEADLINE)
        return self._broker.logs[stream.name].last(subject)

    async def remove(self, stream: Stream, sequence: int) -> None:
        """Delete one message; removing one that is gone is fine."""
        await self._broker.reach(PUBLISH_DEADLINE)
        self._broker.logs[stream.name].messages.pop(sequence, None)

    async def position(self, stream: Stream) -> Position:
        """Return where the stream begins and ends."""
        await self._broker.reach(PUBLISH_DEADLINE)
        source = self._broker.logs[stream.name]
        source.expire()
        first = next(iter(source.messages), source.last_sequence + 1 if source.last_sequence else 0)
        return Position(epoch=source.epoch, first=first, last=source.last_sequence)
