"""What runs want of the launcher for their steps, from the events about them. No I/O.

Built from the event stream from its beginning, so that a launcher that takes over knows what the one before it did.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, get_args

from dagwire_shared.bus import Delivery
from dagwire_shared.envelope import Envelope, decode
from dagwire_shared.errors import InvalidIdentifierError, MalformedMessageError
from dagwire_shared.events import (
    RunCanceled,
    RunDropped,
    RunFailed,
    RunLost,
    RunSucceeded,
    StepWorkerEnded,
    StepWorkerReleased,
    StepWorkerRequested,
)
from dagwire_shared.ids import RunId, check_run_id
from dagwire_shared.subjects import Kind

from dagwire_launcher.stepname import StepName, StepOrder

_ENDS: Final = RunSucceeded | RunFailed | RunCanceled | RunLost | RunDropped
_END_WORDS: Final = tuple(one.TYPE.encode() for one in get_args(_ENDS))
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class Wanted:
    """A step worker that a run asked for."""

    order: StepOrder
    at: datetime
    """When the stream took the order."""
    released: bool = False
    """The run wants it no more."""
    ended: StepWorkerEnded | None = None
    asked_again: bool = False
    """The run asked for it after its end was told: it did not hear that."""


@dataclass(slots=True)
class RunSteps:
    """The step workers of one run."""

    traceparent: str | None = None
    workers: dict[StepName, Wanted] = field(default_factory=dict)


class StepOrders:
    """Which step workers are wanted."""

    def __init__(self) -> None:
        self._runs: dict[RunId, RunSteps] = {}
        # A launcher may end a run whose worker still orders.
        self._over: OrderedDict[RunId, None] = OrderedDict()

    def note(self, delivery: Delivery) -> RunId | None:
        """Take in one event; return the run for which something has changed.

        Raises:
            MalformedMessageError: it is not readable.
        """
        run_id, kind = _address(delivery.subject)
        if run_id not in self._runs and kind is not Kind.ORDER:
            if kind in {Kind.RUN, Kind.LAUNCH}:
                self._note_end(run_id, delivery)
            return None
        envelope = decode(delivery.body)
        match envelope.event:
            case StepWorkerRequested() as event:
                return self._request(run_id, event, envelope, delivery.time)
            case StepWorkerReleased() as event:
                return self._release(run_id, event)
            case StepWorkerEnded() as event:
                return self._end(run_id, event)
            case event if isinstance(event, _ENDS):
                self._close(run_id)
                return run_id
            case _:
                return None

    def _note_end(self, run_id: RunId, delivery: Delivery) -> None:
        """Remember the end of a run that has ordered nothing: so of most runs, whose events are hardly looked at."""
        if any(word in delivery.body for word in _END_WORDS) and isinstance(decode(delivery.body).event, _ENDS):
            self._close(run_id)

    def _request(self, run_id: RunId, event: StepWorkerRequested, envelope: Envelope, at: datetime) -> RunId | None:
        if run_id in self._over:
            return None
        run = self._runs.setdefault(run_id, RunSteps(envelope.traceparent))
        name = StepName(run_id, event.step_key, event.attempt)
        known = run.workers.get(name)
        if known is None:
            run.workers[name] = Wanted(StepOrder(name, tuple(event.container_config)), at)
        else:
            known.asked_again = known.ended is not None
        return run_id

    def _release(self, run_id: RunId, event: StepWorkerReleased) -> RunId | None:
        run = self._runs.get(run_id)
        wanted = None if run is None else run.workers.get(StepName(run_id, event.step_key, event.attempt))
        if wanted is None:
            return None
        wanted.released = True
        return run_id

    def _end(self, run_id: RunId, event: StepWorkerEnded) -> RunId:
        wanted = self._runs[run_id].workers.get(StepName(run_id, event.step_key, event.attempt))
        if wanted is not None:
            # The output is told once; here it would stay in memory for as long as the run.
            wanted.ended, wanted.asked_again = event.model_copy(update={"output": ""}), False
        return run_id

    def _close(self, run_id: RunId) -> None:
        self._runs.pop(run_id, None)
        self._over[run_id] = None
        if len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)

    def run(self, run_id: RunId) -> RunSteps | None:
        """Return what an open run wants; None: nothing, or it has ended."""
        return self._runs.get(run_id)

    def find(self, name: StepName) -> Wanted | None:
        """Return a step worker of an open run."""
        run = self._runs.get(name.run_id)
        return None if run is None else run.workers.get(name)

    def is_over(self, run_id: RunId) -> bool:
        """Return whether the run is known to have ended."""
        return run_id in self._over

    def all(self) -> Iterator[StepName]:
        """Yield every step worker that open runs asked for."""
        for run in self._runs.values():
            yield from run.workers


def _address(subject: str) -> tuple[RunId, Kind]:
    """Return which run an event is about, and of which kind it is.

    Raises:
        MalformedMessageError: the subject is none of a run's events.
    """
    try:
        *_, run_id, kind = subject.split(".")
        return check_run_id(run_id), Kind(kind)
    except (ValueError, InvalidIdentifierError) as error:
        raise MalformedMessageError(f"{subject} is no subject of an event about a run: {error}") from error
