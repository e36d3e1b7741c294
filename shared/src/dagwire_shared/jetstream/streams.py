"""The streams of the Bus port on JetStream: publishing, reading, single messages and positions."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from dagwire_shared.bus import PUBLISH_DEADLINE, Batch, Consumer, Delivery, Message, Position, Receipt
from dagwire_shared.errors import BusError
from dagwire_shared.jetstream import api
from dagwire_shared.jetstream.connection import Connection, DisconnectedError, UnansweredError
from dagwire_shared.jetstream.deadline import Deadline
from dagwire_shared.jetstream.follower import Follower
from dagwire_shared.jetstream.publisher import Publisher
from dagwire_shared.jetstream.reader import ASK_DEADLINE, Reader
from dagwire_shared.jetstream.subscription import JetStreamSubscription, consume
from dagwire_shared.streams import Stream


class JetStreamStreams:
    """See ``bus.Streams``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.reader = Reader(connection)
        self.publisher = Publisher(connection, self.reader)

    async def publish(
        self, message: Message, *, expected_last: int | None = None, deadline: timedelta = PUBLISH_DEADLINE
    ) -> Receipt:
        """Publish one message; see ``bus.Streams.publish``."""
        return await self.publisher.publish(message, expected_last=expected_last, deadline=deadline)

    async def publish_all(
        self, messages: Sequence[Message], *, deadline: timedelta = PUBLISH_DEADLINE
    ) -> Sequence[Receipt]:
        """Publish many messages in order; see ``bus.Streams.publish_all``."""
        return await self.publisher.publish_all(messages, deadline=deadline)

    def follow(self, stream: Stream, *, subjects: Sequence[str] = (), after: int = 0) -> AsyncIterator[Batch]:
        """Read without end; see ``bus.Streams.follow``."""
        return Follower(self._connection, stream.name, subjects, after).batches()

    def consume(self, consumer: Consumer) -> AbstractAsyncContextManager[JetStreamSubscription]:
        """Open a durable consumer; see ``bus.Streams.consume``."""
        return consume(self._connection, consumer)

    async def last(self, stream: Stream, subject: str) -> Delivery | None:
        """Return the last message on a subject, or None."""
        return await self.reader.last(stream.name, subject)

    async def remove(self, stream: Stream, sequence: int) -> None:
        """Delete one message; removing one that is gone is fine."""
        request = {"seq": sequence, "no_erase": True}
        answer = await self.ask(f"STREAM.MSG.DELETE.{stream.name}", request, gone=api.ERR_MESSAGE_GONE)
        if answer.error is not None and answer.error.err_code not in api.ERR_MESSAGE_GONE:
            raise BusError(f"message {sequence} of {stream.name} cannot be removed: {answer.error}")

    async def position(self, stream: Stream) -> Position:
        """Return where the stream begins and ends."""
        answer = await self.ask(f"STREAM.INFO.{stream.name}", None)
        if answer.error is not None:
            raise BusError(f"stream {stream.name}: {answer.error}")
        state = answer.content["state"]
        return Position(
            epoch=api.read_epoch(answer.content), first=int(state["first_seq"]), last=int(state["last_seq"])
        )

    async def ask(
        self, what: str, body: Any, *, gone: frozenset[int] = frozenset(), deadline: timedelta = ASK_DEADLINE
    ) -> api.Answer:
        """Ask the JetStream API until it answers with content or a lasting error."""
        until = Deadline(deadline, f"the request {what}", outcome="")
        payload = b"" if body is None else json.dumps(body).encode()
        async for wait in until.tries(self._connection):
            try:
                reply = await self._connection.request(f"{api.API}.{what}", payload, wait=wait)
            except (DisconnectedError, UnansweredError) as error:
                until.cause = error
                continue
            answer = api.read_answer(reply)
            if answer.error is None or answer.error.err_code in gone or not answer.error.retryable:
                return answer
            until.cause = answer.error
            await asyncio.sleep(0)
        raise AssertionError("tries() ends by raising")
