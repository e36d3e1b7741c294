"""Decides what a schedule has to do now: wait, settle ticks that will not happen, or fire one. Pure.

Everything follows from four things: the terms under which the schedule runs, the progress that the replicas
share, the time, and the limits. Two replicas that see the same decide the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from dagwire_shared import cron


class CatchUp(StrEnum):
    """What happens to ticks that were missed: their time passed while nobody could begin them."""

    SKIP = "skip"
    """None of them happens."""
    LATEST = "latest"
    """The newest of them happens, unless a tick that is on time follows."""
    ALL = "all"
    """All of them happen, oldest first; at most the newest ones within the limit."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a schedule ticks."""

    cron_schedules: tuple[str, ...]
    timezone: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the definitions and the switch say of a schedule."""

    rule: Rule
    active: bool
    catch_up: CatchUp = CatchUp.LATEST
    switched_on: datetime | None = None
    """When somebody switched it on, if that was after it was last seen stopped: no earlier tick happens."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a schedule is, as the replicas share it."""

    through: datetime
    """No tick up to here will happen any more."""
    rule: Rule
    """The rule under which that was so."""
    active: bool = True
    begun: datetime | None = None
    """The tick that is being evaluated."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator may set."""

    missed_after: timedelta = timedelta(seconds=60)
    """A tick that is this late when it could first be begun was missed."""
    catch_up: int = 100
    """The most missed ticks of a schedule that happen, and the most that are recorded one by one."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A tick that will not happen, to be recorded with the reason."""

    nominal: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before this instant, or before something changes."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Settle:
    """Record the ticks that will not happen, and move on."""

    progress: Progress
    dropped: Sequence[Dropped] = ()


@dataclass(frozen=True, slots=True)
class Fire:
    """Evaluate this tick, and request what it asks for."""

    nominal: datetime


Decision = Wait | Settle | Fire

EDITED: Final = "missed: it was due under a rule that the schedule no longer has"


def decide(terms: Terms, progress: Progress | None, *, now: datetime, limits: Limits) -> Decision:
    """Return what the schedule has to do."""
    if progress is None:  # never seen before: what lies in the past is not its business
        return Settle(Progress(through=now, rule=terms.rule, active=terms.active))
    if not terms.active:
        stopped = replace(progress, active=False, begun=None, through=max(progress.through, now))
        return Settle(stopped) if progress.active else Wait(until=None)
    since = max(progress.through, terms.switched_on or progress.through)
    if not progress.active:
        on_again = since if since > progress.through and progress.rule == terms.rule else now
        return Settle(Progress(through=max(progress.through, on_again), rule=terms.rule))
    if progress.begun is not None and progress.begun > since:
        return Fire(progress.begun)  # begun under the old rule even if there is a new one: it is finished
    if progress.rule != terms.rule:
        dropped = _missed(progress.rule, since, now, limits, keep=0, reason=EDITED)
        return Settle(Progress(through=max(since, now), rule=terms.rule), dropped)
    return _due(terms, progress, since=since, now=now, limits=limits)


def _due(terms: Terms, progress: Progress, *, since: datetime, now: datetime, limits: Limits) -> Decision:
    first = _next(terms.rule, since)
    if first is None or first > now:
        return Wait(until=first)
    late = now - limits.missed_after
    if first > late:
        return Fire(first)
    on_time = _next(terms.rule, late)
    keep = _kept(terms.catch_up, limits, followed=on_time is not None and on_time <= now)
    reason = f"missed: nobody could begin it in time, and the schedule catches up with {_WORDS[terms.catch_up]}"
    dropped = _missed(terms.rule, since, late, limits, keep=keep, reason=reason)
    if dropped:
        return Settle(replace(progress, through=dropped[-1].nominal, begun=None), dropped)
    return Fire(first)


def _next(rule: Rule, after: datetime) -> datetime | None:
    return cron.next_tick(rule.cron_schedules, rule.timezone, after)


_WORDS: Final = {CatchUp.SKIP: "none", CatchUp.LATEST: "the latest only", CatchUp.ALL: "the newest within the limit"}


def _kept(policy: CatchUp, limits: Limits, *, followed: bool) -> int:
    """Return how many of the missed ticks happen after all."""
    match policy:
        case CatchUp.SKIP:
            return 0
        case CatchUp.LATEST:
            return 0 if followed else 1
        case CatchUp.ALL:
            return limits.catch_up
        case _:
            assert_never(policy)


def _missed(
    rule: Rule, after: datetime, through: datetime, limits: Limits, *, keep: int, reason: str
) -> tuple[Dropped, ...]:
    """Return the ticks of a past range that do not happen, but for the newest ``keep``.

    The newest are listed one by one; the oldest stands for all others before them.
    """
    newest = cron.latest_ticks(
        rule.cron_schedules, rule.timezone, after=after, through=through, limit=keep + limits.catch_up + 1
    )
    gone = newest[: max(0, len(newest) - keep)]
    listed = tuple(Dropped(nominal, reason) for nominal in gone[-limits.catch_up :])
    if len(gone) <= limits.catch_up:
        return listed
    first = _next(rule, after) or gone[0]
    return Dropped(first, f"{reason}; so were the ticks after it up to {gone[0].isoformat()}"), *listed
