"""A durable consumer shared by processes: deliveries that come again until each is acknowledged.

Acknowledgement is per message, never "all up to here": another process may hold earlier messages that it
has not finished (ADR 0002).
"""

import asyncio
import contextlib
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from nats.aio.msg import Msg

from dagwire_shared.bus import PUBLISH_DEADLINE, Consumer, Delivery
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.jetstream import api
from dagwire_shared.jetstream.connection import Connection, DisconnectedError, UnansweredError
from dagwire_shared.jetstream.deadline import Deadline
from dagwire_shared.jetstream.pull import BrokenPullError, Pull, create_consumer, filters

log = logging.getLogger(__name__)

_CREATE_SECONDS: Final = 5.0
_STALE: Final = 0.8
"""The share of the ack wait after which a message that was not given out yet is left to come again."""
_RETRY_SECONDS: Final = 0.25
_REMEMBERED: Final = 50_000
"""How many acknowledged messages are known here: a killed server forgets what it had not written yet."""
_ACK_SECONDS: Final = 1.5
_ACK_TRIES: Final = 2


class JetStreamSubscription:
    """An open durable consumer; see ``bus.Subscription``."""

    def __init__(self, connection: Connection, consumer: Consumer) -> None:
        self._connection = connection
        self._consumer = consumer
        self._pull: Pull | None = None
        self._unacknowledged: OrderedDict[int, tuple[float, str]] = OrderedDict()
        self._acknowledged: OrderedDict[int, None] = OrderedDict()
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Create the consumer if it is not there.

        Raises:
            BusUnavailableError: no answer before the deadline.
            BusError: the server refuses the settings.
        """
        until = Deadline(PUBLISH_DEADLINE, f"the request for consumer {self._consumer.name}", outcome="")
        async for wait in until.tries(self._connection):
            try:
                if await self._create(wait):
                    return
            except (DisconnectedError, UnansweredError) as error:
                until.cause = error

    async def _create(self, wait: float) -> bool:
        consumer = self._consumer
        config: dict[str, object] = {
            "durable_name": consumer.name,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": api.nanoseconds(consumer.ack_wait),
            "max_ack_pending": consumer.max_unacknowledged,
            "max_deliver": -1,
            "replay_policy": "instant",
            **filters(consumer.subjects),
        }
        answer = await create_consumer(self._connection, consumer.stream.name, consumer.name, config, wait=wait)
        if answer.error is not None:
            log.warning(
                "consumer cannot be opened yet",
                extra={"stream": consumer.stream.name, "consumer": consumer.name, "cause": str(answer.error)},
            )
        return answer.error is None

    async def close(self) -> None:
        """Give back what was delivered and not acknowledged, so that others need not wait for it."""
        if self._pull is None:
            return
        left = [msg.reply for msg in await self._pull.close()]
        fresh = self._loop.time() - self._consumer.ack_wait.total_seconds()
        left += [reply for arrived, reply in self._unacknowledged.values() if arrived > fresh]
        await self._send(left, b"-NAK")

    async def batch(self, limit: int, *, wait: timedelta) -> Sequence[Delivery]:
        """Return 1 to ``limit`` deliveries in stream order; see ``bus.Subscription.batch``."""
        end = self._loop.time() + wait.total_seconds()
        while True:
            try:
                pull = await self._pulling(limit)
                deliveries, done = self._accept(await pull.take(limit, wait=max(0.0, end - self._loop.time())))
                await self._send(done, b"+ACK")
            except BrokenPullError as error:
                log.info("consumer is opened again", extra={"consumer": self._consumer.name, "cause": str(error)})
                await self._reopen(end)
                deliveries = []
            if deliveries or self._loop.time() >= end:
                return deliveries

    async def _pulling(self, limit: int) -> Pull:
        if self._pull is None:
            consumer = self._consumer
            self._pull = Pull(
                self._connection, consumer.stream.name, consumer.name, capacity=consumer.max_unacknowledged
            )
            await self._pull.open()
        self._pull.capacity = max(1, min(limit, self._consumer.max_unacknowledged))
        return self._pull

    async def _reopen(self, end: float) -> None:
        if self._pull is not None:
            await self._pull.close()
            self._pull = None
        left = end - self._loop.time()
        if left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                await asyncio.sleep(_RETRY_SECONDS)
                await self._connection.until_connected()
                await self._create(_CREATE_SECONDS)
        except (TimeoutError, DisconnectedError, UnansweredError):
            return

    def _accept(self, taken: Sequence[tuple[float, Msg]]) -> tuple[list[Delivery], list[str]]:
        """Read deliveries, leaving out what has waited here for too long, and what was acknowledged already.

        A server that is killed right after it confirmed may have forgotten: those are acknowledged once more.
        """
        done: list[str] = []
        fresh = self._loop.time() - self._consumer.ack_wait.total_seconds() * _STALE
        found: dict[int, Delivery] = {}
        for arrived, msg in taken:
            place = api.read_place(msg.reply)
            if place.sequence in self._acknowledged:
                done.append(msg.reply)
                continue
            if arrived < fresh:
                continue
            found[place.sequence] = api.read_delivery(msg, place)
            self._unacknowledged[place.sequence] = (arrived, msg.reply)
        while len(self._unacknowledged) > 2 * self._consumer.max_unacknowledged:
            self._unacknowledged.popitem(last=False)
        return [found[sequence] for sequence in sorted(found)], done

    async def _send(self, replies: Sequence[str], word: bytes) -> None:
        """Tell the server something that may get lost."""
        with contextlib.suppress(DisconnectedError):
            for reply in replies:
                await self._connection.publish(reply, word)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Confirm the deliveries; see ``bus.Subscription.acknowledge``.

        Even unconfirmed, this subscription does not give them out again: should they come, they are acknowledged anew.
        """
        replies = [self._unacknowledged[one.sequence][1] for one in deliveries if one.sequence in self._unacknowledged]
        if not replies:
            return
        self._note_done(deliveries)
        until = Deadline(
            PUBLISH_DEADLINE, f"the confirmation of {len(replies)} deliveries", outcome="; they may come again"
        )
        silent = 0
        async for wait in until.tries(self._connection):
            try:
                for reply in replies[:-1]:
                    await self._connection.publish(reply, b"+ACK")
                answer = await self._connection.request(replies[-1], b"+ACK", wait=min(wait, _ACK_SECONDS))
            except DisconnectedError as error:
                until.cause = error
                continue
            except UnansweredError:
                silent += 1
                if silent == _ACK_TRIES:  # a restarted server does not answer about what it forgot to have delivered
                    raise BusUnavailableError(
                        f"the server did not confirm {len(replies)} deliveries of consumer {self._consumer.name}: "
                        "they may come again"
                    ) from None
                continue
            if not answer.headers or api.STATUS not in answer.headers:
                return
            until.cause = f"the consumer {self._consumer.name} is away"

    def _note_done(self, deliveries: Sequence[Delivery]) -> None:
        for one in deliveries:
            self._unacknowledged.pop(one.sequence, None)
            self._acknowledged[one.sequence] = None
        while len(self._acknowledged) > _REMEMBERED:
            self._acknowledged.popitem(last=False)

    async def retry(self, delivery: Delivery, *, after: timedelta) -> None:
        """Ask for this delivery again after a while."""
        held = self._unacknowledged.pop(delivery.sequence, None)
        if held is None:
            return
        body = b"-NAK"
        if after > timedelta(0):
            body += b" " + json.dumps({"delay": api.nanoseconds(after)}).encode()
        await self._send([held[1]], body)  # if that gets lost, it comes again after the ack wait anyway


@asynccontextmanager
async def consume(connection: Connection, consumer: Consumer) -> AsyncIterator[JetStreamSubscription]:
    """Open a durable consumer while the context is open."""
    subscription = JetStreamSubscription(connection, consumer)
    await subscription.open()
    try:
        yield subscription
    finally:
        await subscription.close()
