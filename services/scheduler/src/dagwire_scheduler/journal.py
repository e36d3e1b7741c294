"""Publishes what a tick comes to: run requests, then the event that records it. Decides nothing about ticks.

A request is accepted once for ever by its subject. An event is fenced by the subject's last sequence, so that
of several replicas one records the tick, and the others notice.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from dagwire_shared.bus import Delivery, Message, Receipt, Streams
from dagwire_shared.commands import RequestRun
from dagwire_shared.envelope import decode, encode, event_message
from dagwire_shared.errors import ConflictError, MalformedMessageError
from dagwire_shared.events import ScheduleSwitched, TickFailed, TickRequested, TickSkipped
from dagwire_shared.ids import ScheduleId, run_id_for
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import request_subject

from dagwire_scheduler.clock import Clock
from dagwire_scheduler.outcomes import Outcome, TickEvent, instant

_log: Final = logging.getLogger(__name__)

SOURCE: Final = "/dagwire/scheduler"
_WORDS: Final[dict[type[TickEvent], str]] = {
    TickRequested: "requested",
    TickSkipped: "skipped",
    TickFailed: "failed",
}
_TRIES: Final = 10


class Journal:
    """The scheduler's word on the bus."""

    def __init__(self, streams: Streams, clock: Clock, *, deadline: timedelta) -> None:
        self._streams = streams
        self._clock = clock
        self._deadline = deadline
        self._last: dict[ScheduleId, int] = {}
        """The sequence of this replica's last event of a schedule: nearly always the subject's last."""

    async def request(self, requests: Sequence[RequestRun]) -> int:
        """Request runs; return how many of them nobody had requested before.

        Raises:
            BusError: not all were accepted; requesting them again is safe.
        """
        if not requests:
            return 0
        receipts = await self._streams.publish_all(
            [self._request(request) for request in requests], deadline=self._deadline
        )
        return sum(not receipt.duplicate for receipt in receipts)

    async def record(self, schedule_id: ScheduleId, outcome: Outcome) -> bool:
        """Record a tick; False: it was recorded before, by this replica or another.

        Raises:
            BusError: whether it was recorded is unknown; recording it again is safe.
        """
        message = self._event(schedule_id, outcome.event)
        expected = self._last.get(schedule_id)
        if expected is not None and (receipt := await self._publish(schedule_id, message, expected)) is not None:
            return not receipt.duplicate
        for _ in range(_TRIES):
            last = await self._streams.last(EVENTS, message.subject)
            sequence = last.sequence if last is not None else 0
            if settles(last, outcome.event) or sequence == expected:
                return False  # refused although nothing was added: the stream knows this event's id
            expected = sequence
            if (receipt := await self._publish(schedule_id, message, expected)) is not None:
                return not receipt.duplicate
        raise ConflictError(f"{message.subject} changes faster than tick {message.id} can be recorded")

    async def _publish(self, schedule_id: ScheduleId, message: Message, expected: int) -> Receipt | None:
        """Publish an event if the subject's last sequence is as expected; None: it is not."""
        try:
            receipt = await self._streams.publish(message, expected_last=expected, deadline=self._deadline)
        except ConflictError:
            self._last.pop(schedule_id, None)
            return None
        self._last[schedule_id] = receipt.sequence
        return receipt

    async def switched(self, schedule_id: ScheduleId, event: ScheduleSwitched, *, revision: int, at: datetime) -> None:
        """Record that somebody switched a schedule; ``revision`` is the switch's in the state bucket.

        Raises:
            BusError: whether it was recorded is unknown; recording it again is safe.
        """
        message = event_message(
            event, id=f"{schedule_id}:switch:{revision}", source=SOURCE, subject=schedule_id, time=at
        )
        await self._streams.publish(message, deadline=self._deadline)

    def _request(self, request: RequestRun) -> Message:
        run_id = run_id_for(request.key)
        body = encode(request, id=request.key, source=SOURCE, subject=run_id, time=self._clock.now())
        return Message(request_subject(request.key), body, id=request.key)

    def _event(self, schedule_id: ScheduleId, event: TickEvent) -> Message:
        return event_message(
            event,
            id=f"{schedule_id}:{instant(event.nominal_time)}:{_WORDS[type(event)]}",
            source=SOURCE,
            subject=schedule_id,
            time=self._clock.now(),
        )


def settles(last: Delivery | None, event: TickEvent) -> bool:
    """Return whether the last event of a schedule makes this one superfluous.

    A tick whose runs were requested is recorded as such, even over another replica's word that it was not.
    """
    recorded = None if last is None else _tick_of(last)
    if recorded is None:
        return False
    nominal, requested = recorded
    if nominal == event.nominal_time:
        return requested or not isinstance(event, TickRequested)
    return nominal > event.nominal_time


def _tick_of(delivery: Delivery) -> tuple[datetime, bool] | None:
    try:
        event = decode(delivery.body).event
    except MalformedMessageError:
        return None
    if isinstance(event, TickRequested | TickSkipped | TickFailed):
        return event.nominal_time, isinstance(event, TickRequested)
    return None
