"""Decides how a run ends that its worker cannot end itself, and when a worker's time is up. No I/O."""

import signal
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from dagwire_shared.events import FailureCause, RunCanceling, RunDropped, RunLaunched, RunLost, RunStarted

from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.facts import Facts

CLAIM_LOST: Final = 75
"""The exit code of a worker that found its run taken by another one."""

INTERRUPTED: Final = 76
"""The exit code of a worker that was told to end by a signal, and leaves it to the launcher to say why."""

TOLD: Final = 0
"""The exit code of a worker whose last event, the run's end, was acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long workers are waited for."""

    start: timedelta = timedelta(seconds=300)
    """From its creation to its first event."""
    cancel: timedelta = timedelta(seconds=30)
    """From a cancel order to the first signal."""
    stop: timedelta = timedelta(seconds=10)
    """From the first signal to the last."""
    leave: timedelta = timedelta(seconds=60)
    """From the run's end to the end of its process."""
    hearsay: timedelta = timedelta(seconds=5)
    """From the end of the process until its last word must be readable everywhere."""


class Act(Enum):
    """What a living worker is told."""

    NOTHING = "nothing"
    STOP = "stop"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Attention:
    """What to do about a living worker now, and when to look again."""

    act: Act
    again: datetime | None
    """None: not before something happens."""


def attend(facts: Facts, *, created: datetime, now: datetime, limits: Limits, delayed: bool = False) -> Attention:
    """Decide about a living worker: let it be, tell it to stop, or end it.

    Args:
        facts: what was said about the run.
        created: when the worker was.
        now: the time.
        limits: how long workers are waited for.
        delayed: whether something keeps the worker from running; then it cannot hear a cancel order.
    """
    if facts.ended_by_launcher:
        return Attention(Act.KILL, None)
    if facts.ended:
        return _due(now, kill=_last_word(facts, created) + limits.leave)
    if facts.launch is not None and isinstance(facts.launch.event, RunCanceling):
        if delayed and facts.run is None:
            return Attention(Act.KILL, None)
        stop = facts.launch.time + limits.cancel
        return _due(now, kill=stop + limits.stop, stop=stop)
    if facts.run is None:
        return _due(now, kill=_launched(facts, created) + limits.start)
    return Attention(Act.NOTHING, None)


def _due(now: datetime, *, kill: datetime, stop: datetime | None = None) -> Attention:
    if now >= kill:
        return Attention(Act.KILL, None)
    if stop is None:
        return Attention(Act.NOTHING, kill)
    return Attention(Act.STOP, kill) if now >= stop else Attention(Act.NOTHING, stop)


def _last_word(facts: Facts, created: datetime) -> datetime:
    return created if facts.run is None else facts.run.time


def _launched(facts: Facts, created: datetime) -> datetime:
    if facts.launch is not None and isinstance(facts.launch.event, RunLaunched):
        return facts.launch.time
    return created


class Doubt(Enum):
    """A worker's last word may still be on its way to where it is read."""

    ASK_AGAIN = "ask again"


def verdict(
    facts: Facts, end: WorkerEnd, *, ended: datetime, now: datetime, limits: Limits, delay: WorkerDelay | None = None
) -> RunLost | RunDropped | Doubt | None:
    """Decide what the end of a worker means for its run; None: nothing is to be said.

    Args:
        facts: what was said about the run.
        end: how the worker ended.
        ended: when that was seen.
        now: the time.
        limits: how long workers are waited for.
        delay: what last kept the worker from running.
    """
    if facts.ended or _is_anothers(facts, end):
        return None
    # Who was ended from outside had no last word, or it counts before the launcher's.
    unseen = end.code is None and end.signal is None and end.cause is None
    if (end.code == TOLD or unseen) and now < ended + limits.hearsay:
        return Doubt.ASK_AGAIN
    launch = facts.launch
    if launch is not None and isinstance(launch.event, RunCanceling):
        if ended >= launch.time + limits.cancel:
            return RunDropped(requested_by=launch.event.requested_by, forced=True)
        if facts.run is None:
            return RunDropped(requested_by=launch.event.requested_by)
    if facts.run is None and ended >= _launched(facts, ended) + limits.start:
        return _start_timeout(limits, delay)
    return RunLost(cause=end.cause or FailureCause.WORKER_LOST, message=_describe(end, spoke=facts.run is not None))


def _start_timeout(limits: Limits, delay: WorkerDelay | None) -> RunLost:
    what = f"The run worker did not start within {limits.start.total_seconds():g} seconds and was ended."
    if delay is not None:
        return RunLost(cause=delay.cause, message=f"{what} {delay.message}")
    hint = "Look at its output; if it is only slow, raise the start timeout."
    return RunLost(cause=FailureCause.START_TIMEOUT, message=f"{what} {hint}")


def _is_anothers(facts: Facts, end: WorkerEnd) -> bool:
    """Return whether another process has this run: then its end is the one that counts."""
    if end.code == CLAIM_LOST:
        return True
    started = facts.run.event if facts.run is not None else None
    return isinstance(started, RunStarted) and end.pid is not None and started.pid != end.pid


def _describe(end: WorkerEnd, *, spoke: bool) -> str:
    when = "before the run's end was told" if spoke else "before it took the run"
    if end.signal is not None:
        how = f"was killed by {signal_name(end.signal)}"
    elif end.code == INTERRUPTED:
        how = "was told to end"
    elif end.code is not None:
        how = f"ended with exit code {end.code}"
    else:
        how = "ended, nobody saw how (no launcher was running)"
    return " ".join(part for part in (f"The run worker {how} {when}.", end.reason) if part)


def signal_name(number: int) -> str:
    """Return what a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
