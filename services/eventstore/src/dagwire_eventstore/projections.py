"""What runs, steps, ticks and assets are, given their events: pure functions of one state and one event.

The order in which events are *applied* does not matter, nor how often: each part of a state is decided by the
event that stands first in the stream (an asset: last), wherever it stands in a batch. What a state means is so
decided by the stream alone, after redelivery and in a rebuild too (property-tested).

    QUEUED → STARTING → STARTED → CANCELING → SUCCESS | FAILURE | CANCELED

A run's status only moves to the right. The first terminal event in the stream ends it; no other one changes that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, assert_never

from dagwire_shared.events import (
    AssetMaterialized,
    FailureCause,
    RunCanceled,
    RunCanceling,
    RunDropped,
    RunFailed,
    RunLaunched,
    RunLost,
    RunPlanned,
    RunQueued,
    RunStarted,
    RunSucceeded,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    TickFailed,
    TickRequested,
    TickSkipped,
)
from dagwire_shared.events.values import ErrorInfo

from dagwire_eventstore.batch import Fact

Place = tuple[int, int]
"""(epoch, sequence): orders all events."""

TerminalEvent = RunSucceeded | RunFailed | RunCanceled | RunLost | RunDropped
RunEvent = RunQueued | RunLaunched | RunCanceling | RunStarted | RunPlanned | TerminalEvent
StepEvent = StepStarted | StepSucceeded | StepFailed | StepSkipped
TickEvent = TickRequested | TickSkipped | TickFailed

_RUN_ORDER: Final = ("QUEUED", "STARTING", "STARTED", "CANCELING")
"""The statuses before the end, each only ever followed by one to its right."""
_TICK_ORDER: Final = ("SKIPPED", "FAILED", "REQUESTED")
"""Of several accounts of one tick the rightmost counts: what was requested was requested."""
CLOSED: Final = "the run ended before this step did"

_Decided = Mapping[str, Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row of ``runs``."""

    run_id: str
    location: str | None = None
    repository: str | None = None
    job: str | None = None
    status: str = "QUEUED"
    preset: str | None = None
    run_config: Any = None
    tags: Any = None
    requested_by: Any = None
    key: str | None = None
    origin: Any = None
    priority: int = 0
    requested_at: datetime | None = None
    queued_at: datetime | None = None
    launched_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str | None = None
    message: str | None = None
    error: Any = None
    executor: str | None = None
    resolved_config: Any = None
    epoch: int
    seq: int
    decided: _Decided = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether a terminal event was stored."""
        return "ended" in self.decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A row of ``steps``."""

    run_id: str
    step_key: str
    position: int | None = None
    depends_on: Any = None
    status: str = "PENDING"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float | None = None
    reason: str | None = None
    error: Any = None
    decided: _Decided = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A row of ``ticks``."""

    schedule_id: str
    nominal_time: datetime
    location: str
    repository: str
    schedule: str
    status: str
    run_ids: Any = field(default_factory=list)
    reason: str | None = None
    missed: bool = False
    error: Any = None
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A row of ``assets``."""

    asset_key: tuple[str, ...]
    run_id: str
    step_key: str
    description: str
    metadata: Any
    materialized_at: datetime
    epoch: int
    seq: int


def apply_run(run: Run | None, fact: Fact, event: RunEvent) -> Run:
    """Return the run after one of its events; ``run`` is None before its first."""
    if run is None:
        run = Run(run_id=fact.aggregate, epoch=fact.epoch, seq=fact.seq)
    elif fact.place < (run.epoch, run.seq):
        run = replace(run, epoch=fact.epoch, seq=fact.seq)
    match event:
        case RunQueued():
            return _queued(run, fact, event)
        case RunLaunched():
            return replace(_advance(run, "STARTING"), launched_at=_earlier(run.launched_at, fact.time))
        case RunStarted():
            return replace(_advance(run, "STARTED"), started_at=_earlier(run.started_at, fact.time))
        case RunCanceling():
            return _advance(run, "CANCELING")
        case RunPlanned():
            return _planned(run, fact, event)
        case RunSucceeded() | RunFailed() | RunCanceled() | RunLost() | RunDropped():
            return _end(run, fact, event)
        case _:
            assert_never(event)


def apply_step(step: Step | None, fact: Fact, event: StepEvent, *, run_ended: bool) -> Step:
    """Return the step after one of its own events; ``step`` is None before its first."""
    if step is None:
        step = Step(run_id=fact.aggregate, step_key=event.step_key)
    match event:
        case StepStarted():
            step = replace(step, started_at=_earlier(step.started_at, fact.time))
        case StepSucceeded():
            step = _end_step(step, fact, status="SUCCESS", seconds=event.seconds)
        case StepFailed():
            step = _end_step(step, fact, status="FAILURE", seconds=event.seconds, error=event.error)
        case StepSkipped():
            step = _end_step(step, fact, status="SKIPPED", reason=event.reason)
        case _:
            assert_never(event)
    return settle_step(step, run_ended=run_ended)


def plan_step(step: Step | None, fact: Fact, position: int, event: RunPlanned, *, run_ended: bool) -> Step:
    """Return the step at ``position`` of the plan; it may have spoken before its plan did."""
    planned = event.steps[position]
    if step is None:
        step = Step(run_id=fact.aggregate, step_key=planned.key)
    if _decides(step.decided, "planned", fact):
        decided = {**step.decided, "planned": fact.place}
        step = replace(step, position=position, depends_on=list(planned.depends_on), decided=decided)
    return settle_step(step, run_ended=run_ended)


def settle_step(step: Step, *, run_ended: bool) -> Step:
    """Return the step with the status that follows from its own events and, where they are silent, its run's end."""
    if "ended" in step.decided:
        return step
    started = step.started_at is not None
    if run_ended:
        return replace(step, status="FAILURE" if started else "SKIPPED", reason=CLOSED)
    return replace(step, status="RUNNING" if started else "PENDING")


def apply_tick(tick: Tick | None, fact: Fact, event: TickEvent) -> Tick:
    """Return the tick after one account of it; ``tick`` is None before the first."""
    told = _told(fact, event)
    if tick is None:
        return told
    rank, present = _TICK_ORDER.index(told.status), _TICK_ORDER.index(tick.status)
    wins = rank > present or (rank == present and fact.place < (tick.epoch, tick.seq))
    return told if wins else tick


def apply_asset(asset: Asset | None, fact: Fact, event: AssetMaterialized) -> Asset:
    """Return the newest materialization: the last in the stream."""
    if asset is not None and fact.place <= (asset.epoch, asset.seq):
        return asset
    return Asset(
        asset_key=tuple(event.asset_key),
        run_id=fact.aggregate,
        step_key=event.step_key,
        description=event.description,
        metadata={name: entry.model_dump(mode="json") for name, entry in event.metadata.items()},
        materialized_at=fact.time,
        epoch=fact.epoch,
        seq=fact.seq,
    )


def _decides(decided: _Decided, part: str, fact: Fact) -> bool:
    """Whether the fact stands before the one that decided this part, if any did."""
    return part not in decided or fact.place < tuple(decided[part])


def _earlier(known: datetime | None, time: datetime) -> datetime:
    return time if known is None else min(known, time)


def _advance(run: Run, status: str) -> Run:
    if run.ended or _RUN_ORDER.index(status) <= _RUN_ORDER.index(run.status):
        return run
    return replace(run, status=status)


def _queued(run: Run, fact: Fact, event: RunQueued) -> Run:
    if not _decides(run.decided, "queued", fact):
        return run
    return replace(
        run,
        location=event.location,
        repository=event.repository,
        job=event.job,
        preset=event.preset,
        run_config=event.run_config,
        tags=event.tags,
        requested_by=event.requested_by.model_dump(mode="json"),
        key=event.key,
        origin=event.origin.model_dump(mode="json"),
        priority=event.priority,
        requested_at=event.requested_at,
        queued_at=fact.time,
        decided={**run.decided, "queued": fact.place},
    )


def _planned(run: Run, fact: Fact, event: RunPlanned) -> Run:
    if not _decides(run.decided, "planned", fact):
        return run
    decided = {**run.decided, "planned": fact.place}
    return replace(run, executor=event.executor, resolved_config=event.run_config, decided=decided)


def _end(run: Run, fact: Fact, event: TerminalEvent) -> Run:
    if not _decides(run.decided, "ended", fact):
        return run
    status: str
    cause: FailureCause | None = None
    message: str | None = None
    error: ErrorInfo | None = None
    match event:
        case RunSucceeded():
            status = "SUCCESS"
        case RunFailed() | RunLost():
            status, cause, message, error = "FAILURE", event.cause, event.message, event.error
        case RunCanceled():
            status, message = "CANCELED", event.message
        case RunDropped():
            status = "CANCELED"
            message = "ended by force: its worker did not follow the cancel order" if event.forced else "not started"
        case _:
            assert_never(event)
    return replace(
        run,
        status=status,
        ended_at=fact.time,
        cause=None if cause is None else cause.value,
        message=message,
        error=_dump(error),
        decided={**run.decided, "ended": fact.place},
    )


def _end_step(
    step: Step,
    fact: Fact,
    *,
    status: str,
    seconds: float | None = None,
    reason: str | None = None,
    error: ErrorInfo | None = None,
) -> Step:
    if not _decides(step.decided, "ended", fact):
        return step
    return replace(
        step,
        status=status,
        ended_at=fact.time,
        seconds=seconds,
        reason=reason,
        error=_dump(error),
        decided={**step.decided, "ended": fact.place},
    )


def _told(fact: Fact, event: TickEvent) -> Tick:
    tick = Tick(
        schedule_id=fact.aggregate,
        nominal_time=event.nominal_time,
        location=event.location,
        repository=event.repository,
        schedule=event.schedule,
        status="REQUESTED",
        epoch=fact.epoch,
        seq=fact.seq,
    )
    match event:
        case TickRequested():
            return replace(tick, run_ids=list(event.run_ids))
        case TickSkipped():
            return replace(tick, status="SKIPPED", reason=event.reason, missed=event.missed)
        case TickFailed():
            return replace(tick, status="FAILED", error=_dump(event.error))
        case _:
            assert_never(event)


def _dump(error: ErrorInfo | None) -> Any:
    return None if error is None else error.model_dump(mode="json")
