"""Publishes into streams: each message is sent under its id until the stream acknowledges it.

Order inside one call is kept whatever fails: a stream of facts gets its messages as an atomic batch, which
the server stores whole or not at all, or one at a time; see ADR 0002.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from dagwire_shared.bus import PUBLISH_DEADLINE, Message, Receipt
from dagwire_shared.errors import BusError, ConflictError
from dagwire_shared.jetstream import api
from dagwire_shared.jetstream.connection import Connection, DisconnectedError, UnansweredError
from dagwire_shared.jetstream.deadline import Deadline
from dagwire_shared.jetstream.pace import Pace
from dagwire_shared.jetstream.reader import Reader
from dagwire_shared.streams import Stream

BATCH_MESSAGES: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
IN_FLIGHT: Final = 256
"""How many messages with distinct subjects wait for their acknowledgement at once."""
_BATCH_TRIES: Final = 3


class Publisher:
    """Publishes messages into the streams of one connection."""

    def __init__(self, connection: Connection, reader: Reader) -> None:
        self._connection = connection
        self._reader = reader
        self.pace = Pace()

    async def publish(
        self,
        message: Message,
        *,
        stream: str | None = None,
        expected_last: int | None = None,
        deadline: timedelta = PUBLISH_DEADLINE,
    ) -> Receipt:
        """Publish one message; see ``bus.Streams.publish``."""
        until = Deadline(deadline, f"message {message.id} on {message.subject}")
        return await self._publish(message, stream or _stream_name(message.subject), expected_last, until)

    async def _publish(self, message: Message, stream: str, expected_last: int | None, until: Deadline) -> Receipt:
        headers = {**message.headers, api.MSG_ID: message.id}
        if expected_last is not None:
            headers[api.EXPECTED_LAST] = str(expected_last)
        async for wait in until.tries(self._connection):
            try:
                reply = await self._connection.request(message.subject, message.body, headers=headers, wait=wait)
            except (DisconnectedError, UnansweredError) as error:
                until.cause = error
                continue
            receipt = await self._settle(message, stream, expected_last, api.read_answer(reply), until)
            if receipt is not None:
                return receipt
        raise AssertionError("tries() ends by raising")

    async def _settle(
        self, message: Message, stream: str, expected_last: int | None, answer: api.Answer, until: Deadline
    ) -> Receipt | None:
        """Say what an answer means; None: try again."""
        error = answer.error
        if error is None:
            duplicate = bool(answer.content.get("duplicate"))
            sequence = int(answer.content["seq"])
            if expected_last is not None:
                self._reader.note(stream, message.subject, sequence)
                if duplicate:
                    return await self._mine_or_conflict(message, stream, sequence)
            return Receipt(sequence, duplicate=duplicate)
        until.cause = error
        if error.err_code in api.ERR_WRONG_LAST:
            return await self._mine_or_conflict(message, stream, api.wrong_last_sequence(error))
        if error.err_code == api.ERR_STORE_FAILED and error.description == api.ERR_SUBJECT_FULL:
            kept = await self._reader.last(stream, message.subject)
            return None if kept is None else Receipt(kept.sequence, duplicate=True)
        if error.retryable or error.code == api.INTERNAL:
            return None
        raise BusError(f"message {message.id} on {message.subject} was refused: {error}")

    async def _mine_or_conflict(self, message: Message, stream: str, last_sequence: int | None) -> Receipt:
        """Tell an expectation that failed because of this very message from one that another writer broke.

        An equal id is no proof: two workers of one run use the same ids. An equal body is.
        """
        self._reader.note(stream, message.subject, last_sequence or 0)
        kept = await self._reader.last(stream, message.subject)
        if kept is not None:
            if kept.headers.get(api.MSG_ID) == message.id and kept.body == message.body:
                return Receipt(kept.sequence, duplicate=True)
            last_sequence = max(last_sequence or 0, kept.sequence)
        raise ConflictError(
            f"{message.subject} was written by somebody else: its last sequence is {last_sequence}",
            last_sequence=last_sequence,
        )

    async def publish_all(
        self, messages: Sequence[Message], *, deadline: timedelta = PUBLISH_DEADLINE
    ) -> Sequence[Receipt]:
        """Publish many messages in order; see ``bus.Streams.publish_all``."""
        until = Deadline(deadline, f"a series of {len(messages)} messages")
        receipts: list[Receipt] = []
        for stream, series in split_by_stream(messages):
            if stream is not None and stream.refuse_when_subject_is_full:
                for part in split_by_subject(series):
                    receipts += await self._publish_apart(part, until)
            else:
                for part in split_by_size(series):
                    receipts += await self._publish_together(part, until)
        return receipts

    async def _publish_apart(self, messages: Sequence[Message], until: Deadline) -> list[Receipt]:
        """Publish messages of which no two share a subject: their order among each other does not matter."""
        results = await asyncio.gather(
            *(self._publish(one, _stream_name(one.subject), None, until) for one in messages), return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]
        return [result for result in results if isinstance(result, Receipt)]

    async def _publish_together(self, messages: Sequence[Message], until: Deadline) -> list[Receipt]:
        clock = asyncio.get_running_loop().time
        begun = clock()
        if self.pace.prefers_batch(len(messages)):
            receipts = await self._publish_batch(messages, until)
            if receipts is not None:
                self.pace.note_batch(len(messages), clock() - begun)
                return receipts
            begun = clock()
        receipts = [await self._publish(one, _stream_name(one.subject), None, until) for one in messages]
        self.pace.note_singles(len(messages), clock() - begun)
        return receipts

    async def _publish_batch(self, messages: Sequence[Message], until: Deadline) -> list[Receipt] | None:
        """Publish as one atomic batch; None: the server wants them one at a time."""
        tries = 0
        async for wait in until.tries(self._connection):
            tries += 1
            try:
                answer = await self._send_batch(messages, wait)
            except (DisconnectedError, UnansweredError) as error:
                until.cause = error
                continue
            refusal = answer.error
            if refusal is None:
                first = int(answer.content["seq"]) - len(messages) + 1
                return [Receipt(first + index) for index in range(len(messages))]
            until.cause = refusal
            if refusal.err_code == api.ERR_BATCH_DUPLICATE or refusal.err_code in api.ERR_BATCH_UNSUPPORTED:
                return None
            if refusal.err_code in api.ERR_BATCH_INCOMPLETE:
                for subject in {message.subject for message in messages}:
                    self._connection.raise_if_denied(subject)
                if tries >= _BATCH_TRIES:
                    return None
            elif not refusal.retryable and refusal.code != api.INTERNAL:
                raise BusError(f"a batch that begins with message {messages[0].id} was refused: {refusal}")
        raise AssertionError("tries() ends by raising")

    async def _send_batch(self, messages: Sequence[Message], wait: float) -> api.Answer:
        connection = self._connection
        batch = connection.new_inbox().rpartition(".")[2]
        for index, message in enumerate(messages[:-1], start=1):
            headers = {
                **message.headers,
                api.MSG_ID: message.id,
                api.BATCH_ID: batch,
                api.BATCH_SEQUENCE: str(index),
            }
            await connection.publish(message.subject, message.body, headers=headers)
        final = messages[-1]
        headers = {
            **final.headers,
            api.MSG_ID: final.id,
            api.BATCH_ID: batch,
            api.BATCH_SEQUENCE: str(len(messages)),
            api.BATCH_COMMIT: "1",
        }
        subjects = {message.subject for message in messages}
        return api.read_answer(
            await connection.request(final.subject, final.body, headers=headers, wait=wait, covers=subjects)
        )


def _stream_name(subject: str) -> str:
    stream = api.stream_of(subject)
    if stream is None:
        raise BusError(f"{subject} is a subject of no stream of the bus")
    return stream.name


def split_by_stream(messages: Sequence[Message]) -> Iterator[tuple[Stream | None, Sequence[Message]]]:
    """Yield the longest runs of messages that go to one stream."""
    start = 0
    for index in range(1, len(messages) + 1):
        stream = api.stream_of(messages[start].subject)
        if index == len(messages) or api.stream_of(messages[index].subject) is not stream:
            yield stream, messages[start:index]
            start = index


def split_by_subject(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Yield runs of messages in which no subject comes twice."""
    start = 0
    seen: set[str] = set()
    for index, message in enumerate(messages):
        if message.subject in seen or index - start == IN_FLIGHT:
            yield messages[start:index]
            start, seen = index, set()
        seen.add(message.subject)
    if start < len(messages):
        yield messages[start:]


def split_by_size(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Yield runs of messages that fit into one batch."""
    start, size = 0, 0
    for index, message in enumerate(messages):
        if index > start and (index - start == BATCH_MESSAGES or size + len(message.body) > BATCH_BYTES):
            yield messages[start:index]
            start, size = index, 0
        size += len(message.body)
    if start < len(messages):
        yield messages[start:]
