"""Sends the outbox to the stream, in order, until each event is acknowledged. Decides nothing about the run."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dagwire_shared.bus import Delivery, Message, Streams
from dagwire_shared.envelope import decode, event_message
from dagwire_shared.errors import BusError, BusUnavailableError, MalformedMessageError, PermissionDeniedError
from dagwire_shared.events import EngineNoted, LogLevel
from dagwire_shared.streams import EVENTS

from dagwire.worker.emptying import Emptying
from dagwire.worker.outbox import Outbox, number_of

log = logging.getLogger(__name__)

DOUBT_SECONDS: Final = EVENTS.duplicate_window.total_seconds() / 2
"""After trying for this long, a re-send could fall out of the duplicate window: the stream is asked what it has."""


def seconds_since_boot() -> float:
    """Return a clock that also runs while the machine sleeps, as the server's duplicate window may."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Sender:
    """Empties an outbox into the event stream."""

    def __init__(self, streams: Streams, outbox: Outbox, *, clock: Callable[[], float] = seconds_since_boot) -> None:
        self._streams = streams
        self._outbox = outbox
        self._clock = clock

    async def run(self) -> None:
        """Send until the outbox is closed and empty.

        Raises:
            PermissionDeniedError: the credential does not allow the run's subjects.
            BusError: the server refuses an event for good.
        """
        await Emptying(self._outbox, self._deliver).run()

    async def _deliver(self, batch: Sequence[Message]) -> None:
        begun = self._clock()
        while batch:
            try:
                await self._streams.publish_all(batch)
            except BusUnavailableError as error:
                log.warning("events wait for the bus", extra={"waiting": self._outbox.waiting, "cause": str(error)})
                if self._clock() - begun > DOUBT_SECONDS:
                    batch, begun = await self._in_doubt(batch), self._clock()
            except PermissionDeniedError:
                raise
            except BusError as error:
                await self._deliver_apart(batch, error)
                return
            else:
                return

    async def _deliver_apart(self, batch: Sequence[Message], error: BusError) -> None:
        """Send one at a time what cannot be sent together, and say of the refused event that it is left out."""
        if len(batch) > 1:
            for message in batch:
                await self._deliver([message])
            return
        log.error("event refused", extra={"event_id": batch[0].id, "cause": str(error)})
        note = refused(batch[0])
        if note.subject == batch[0].subject:
            raise error
        await self._deliver([note])

    async def _in_doubt(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Return those events of a batch that the stream does not have, however long it takes to learn that."""
        while True:
            try:
                lasts = [await self._streams.last(EVENTS, subject) for subject in {one.subject for one in batch}]
            except BusUnavailableError:
                continue
            return not_accepted(batch, lasts)


def refused(message: Message) -> Message:
    """Return the note that takes the place of an event that the server refuses for good, under the same id."""
    envelope = decode(message.body)
    note = EngineNoted(
        level=LogLevel.ERROR,
        message=f"An event of type {envelope.type} is left out: the bus refuses it ({len(message.body)} bytes).",
    )
    return event_message(
        note,
        id=envelope.id,
        source=envelope.source,
        subject=envelope.subject,
        time=envelope.time,
        traceparent=envelope.traceparent,
        word=message.id.removesuffix(envelope.id).removesuffix(":"),
    )


def not_accepted(batch: Iterable[Message], lasts: Iterable[Delivery | None]) -> list[Message]:
    """Return the events that come after the last one of their subject.

    A subject has one writer and keeps its order, so what is not after the last was accepted (ADR 0003).
    """
    reached = {last.subject: _number(last) for last in lasts if last is not None}
    return [one for one in batch if number_of(one.id) > reached.get(one.subject, -1)]


def _number(delivery: Delivery) -> int:
    try:
        return number_of(decode(delivery.body).id)
    except (MalformedMessageError, ValueError):  # not a worker's: nothing of ours was accepted after it
        return -1
