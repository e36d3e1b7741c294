"""Reads what was said about a run, and says what the launcher has to say; decides nothing.

The launcher's words stand on the run's ``launch`` subject. Each is published only if nothing else was said since
what it was decided from, so that two launchers cannot contradict each other (ADR 0003).
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final

from dagwire_shared.bus import Delivery, Message, Streams
from dagwire_shared.commands import CancelRun
from dagwire_shared.envelope import decode, event_message
from dagwire_shared.errors import ConflictError, MalformedMessageError
from dagwire_shared.events import (
    RunCanceling,
    RunDropped,
    RunLaunched,
    RunLost,
    RunQueued,
    StepWorkerEnded,
    WorkerDelayed,
)
from dagwire_shared.ids import RunId
from dagwire_shared.model import utc_now
from dagwire_shared.streams import CONTROL, EVENTS
from dagwire_shared.subjects import Kind, control_subject, dead_subject, event_subject

from dagwire_launcher.backend import WorkerDelay
from dagwire_launcher.facts import Facts, Said

log = logging.getLogger(__name__)

SOURCE: Final = "/dagwire/launcher"

Clock = Callable[[], datetime]

LaunchEvent = RunQueued | RunLaunched | RunCanceling | RunDropped | RunLost

_WORDS: Final[dict[type[LaunchEvent], str]] = {
    RunQueued: "queued",
    RunLaunched: "launched",
    RunCanceling: "canceling",
    RunDropped: "end",
    RunLost: "end",
}


_AGAIN: Final = 5
"""How often it is looked again at what another launcher says of a delay meanwhile."""


class Ledger:
    """The record of runs, as the event stream keeps it."""

    def __init__(self, streams: Streams, clock: Clock = utc_now) -> None:
        self._streams = streams
        self._word = secrets.token_hex(8)
        self._clock = clock

    async def launch(self, run_id: RunId) -> Said | None:
        """Return the last word of the launchers about a run."""
        return _said(await self._streams.last(EVENTS, event_subject(run_id, Kind.LAUNCH)))

    async def facts(self, run_id: RunId) -> Facts:
        """Return the last words of the launchers and of the run's worker."""
        launch, run = await asyncio.gather(
            self.launch(run_id), self._streams.last(EVENTS, event_subject(run_id, Kind.RUN))
        )
        return Facts(launch, _said(run))

    async def cancel_order(self, run_id: RunId) -> CancelRun | None:
        """Return the order to cancel a run, if there is one."""
        delivery = await self._streams.last(CONTROL, control_subject(run_id))
        return None if delivery is None else read_cancel(delivery)

    async def say(self, run_id: RunId, event: LaunchEvent, *, after: int, traceparent: str | None = None) -> int:
        """Record a word of the launcher about a run, and return its sequence.

        Args:
            run_id: the run.
            event: what is to be said.
            after: the sequence of the last word that it was decided from; 0: there was none.
            traceparent: the trace that the run belongs to.

        Raises:
            ConflictError: something else was said meanwhile: decide again.
            BusUnavailableError: whether it was recorded is unknown.
        """
        message = event_message(
            event,
            id=f"{run_id}:{_WORDS[type(event)]}",
            source=SOURCE,
            subject=run_id,
            time=self._clock(),
            traceparent=traceparent,
            word=self._word,
        )
        receipt = await self._streams.publish(message, expected_last=after)
        return receipt.sequence

    async def tell_delay(self, run_id: RunId, delay: WorkerDelay, *, step_key: str | None = None) -> None:
        """Record what keeps the worker of a run, or of one of its steps, from running, unless that was said last.

        Raises:
            BusUnavailableError: whether it was recorded is unknown.
        """
        event = WorkerDelayed(cause=delay.cause, message=delay.message, step_key=step_key)
        for _ in range(_AGAIN):
            launch, last = await asyncio.gather(
                self.launch(run_id), self._streams.last(EVENTS, event_subject(run_id, Kind.WORKER))
            )
            said = _said(last)
            if said is not None and said.event == event:
                return
            after = 0 if said is None else said.sequence
            message = event_message(
                event,
                id=f"{run_id}:delayed:{after}",
                source=SOURCE,
                subject=run_id,
                time=self._clock(),
                traceparent=None if launch is None else launch.traceparent,
                word=self._word,
            )
            with contextlib.suppress(ConflictError):
                await self._streams.publish(message, expected_last=after)
                return

    async def tell_step_end(self, run_id: RunId, event: StepWorkerEnded, *, again: bool = False) -> None:
        """Record how the worker of a step ended; ``again``, though that stands there.

        Raises:
            ConflictError: something else was said meanwhile: look what, and perhaps tell it again.
            BusUnavailableError: whether it was recorded is unknown.
        """
        launch, last = await asyncio.gather(
            self.launch(run_id), self._streams.last(EVENTS, event_subject(run_id, Kind.WORKER))
        )
        after = 0 if last is None else last.sequence
        message = event_message(
            event,
            id=f"{run_id}:{event.worker}:ended" + (f":{after}" if again else ""),
            source=SOURCE,
            subject=run_id,
            time=self._clock(),
            traceparent=None if launch is None else launch.traceparent,
            word=self._word,
        )
        await self._streams.publish(message, expected_last=after)

    async def bury(self, delivery: Delivery, cause: str) -> None:
        """Keep a message that nobody can handle among the dead letters, with the cause.

        Raises:
            BusUnavailableError: whether it was kept is unknown.
        """
        headers = {
            "Dagwire-Cause": " ".join(cause.split())[:1000],
            "Dagwire-Subject": delivery.subject,
            "Dagwire-Sequence": str(delivery.sequence),
        }
        message_id = f"{delivery.stream}:{delivery.sequence}"
        await self._streams.publish(Message(dead_subject(delivery.stream), delivery.body, message_id, headers))
        log.warning("message refused", extra={"subject": delivery.subject, "cause": cause})


def read_cancel(delivery: Delivery) -> CancelRun | None:
    """Return the cancel order that a control message holds; None: it is something else."""
    try:
        command = decode(delivery.body).command
    except MalformedMessageError:
        return None
    if not isinstance(command, CancelRun) or delivery.subject != control_subject(command.run_id):
        return None
    return command


def _said(delivery: Delivery | None) -> Said | None:
    if delivery is None:
        return None
    try:
        envelope = decode(delivery.body)
        return Said(envelope.event, delivery.sequence, delivery.time, envelope.traceparent)
    except MalformedMessageError:
        return Said(None, delivery.sequence, delivery.time)
