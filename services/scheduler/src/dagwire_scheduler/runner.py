"""One schedule: asks what is to be done, does it, and waits for the next tick or for a change.

One tick is in hand at a time. What to do is decided in ``ticks``, what a tick comes to in ``outcomes``.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, assert_never

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.errors import BusError, BusUnavailableError, ConflictError, PermissionDeniedError
from dagwire_shared.events import ErrorInfo, TickFailed
from dagwire_shared.locations import LocationError, LocationTimeoutError, LocationUnavailableError
from dagwire_shared.records import ScheduleSwitch

from dagwire_scheduler.clock import Clock
from dagwire_scheduler.cursors import Cursors
from dagwire_scheduler.journal import Journal
from dagwire_scheduler.outcomes import Outcome, failed, instant, outcome_of, skipped
from dagwire_scheduler.policy import Policy
from dagwire_scheduler.schedules import Identity, Schedule
from dagwire_scheduler.ticks import CatchUp, Decision, Fire, Progress, Rule, Settle, Terms, Wait, decide

_log: Final = logging.getLogger(__name__)

_NEVER: Final = Rule((), "")


class Evaluator(Protocol):
    """Who asks user code."""

    async def evaluate_schedule(
        self, location: str, repository: str, schedule: str, *, scheduled_time: datetime, deadline: timedelta
    ) -> pb.EvaluateScheduleResponse:
        """Return what a schedule wants at one tick."""
        ...


class Turn(Protocol):
    """Who acts now, so that replicas do not do the same work twice. Nothing relies on it."""

    @property
    def held(self) -> bool:
        """Whether it is this replica."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every runner needs; one for all."""

    cursors: Cursors
    journal: Journal
    evaluator: Evaluator
    turn: Turn
    clock: Clock
    policy: Policy


@dataclass(slots=True)
class _Tries:
    """How often the tick in hand was tried in vain."""

    nominal: datetime | None = None
    away: int = 0
    faults: int = 0
    again: datetime | None = None
    """When it is tried again, unless something changes before."""


class Runner:
    """Runs one schedule while ``run`` runs; ends when the schedule is gone from its code."""

    def __init__(
        self, identity: Identity, surroundings: Surroundings, slots: AbstractAsyncContextManager[None, bool | None]
    ) -> None:
        self.identity = identity
        self._with = surroundings
        self._slots = slots
        self._schedule: Schedule | None = None
        self._available = False
        self._switch: ScheduleSwitch | None = None
        self._switched_on: datetime | None = None
        self._contradicted = False
        self._standing: tuple[object, datetime] | None = None
        self._begun: datetime | None = None
        self._tries = _Tries()
        self._changed = asyncio.Event()

    # --- what others tell it ---------------------------------------------------------------------------------------

    def define(self, schedule: Schedule | None) -> None:
        """Take the schedule as its code defines it now; None: it is gone from the code."""
        self._update(schedule, self._switch)
        self._available = True
        self.poke()

    def switch(self, switch: ScheduleSwitch | None) -> None:
        """Take the switch as it is now; None: the code decides."""
        self._update(self._schedule, switch)
        self.poke()

    def suspend(self) -> None:
        """Its code cannot be asked now; ticks wait."""
        self._available = False
        self.poke()

    def contradict(self) -> None:
        """Another replica moved the schedule on, perhaps under a rule that is not this one's."""
        self._contradicted = True
        self.poke()

    def poke(self) -> None:
        """Look again at what is to be done."""
        self._changed.set()

    def _update(self, schedule: Schedule | None, switch: ScheduleSwitch | None) -> None:
        before, rule = self._active, self._rule
        self._schedule, self._switch = schedule, switch
        if (self._active, self._rule) != (before, rule):
            self._contradicted = False
        if self._active and not before:
            self._switched_on = min(switch.at, self._with.clock.now()) if switch is not None else None

    @property
    def _active(self) -> bool:
        if self._schedule is None:
            return False
        return self._switch.status == "running" if self._switch is not None else self._schedule.default_running

    @property
    def _rule(self) -> Rule:
        return self._schedule.rule if self._schedule is not None else _NEVER

    # --- what it does ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is to be done until the schedule is gone, or until cancelled."""
        failures = 0
        while not self._gone:
            self._changed.clear()
            try:
                await self._step()
                failures = 0
            except BusError as error:
                failures += 1
                _log.warning("schedule waits for the bus", extra={**self.identity.facts, "cause": str(error)})
                await self._wait(self._pause_after(failures))
            except Exception:  # noqa: BLE001 -- a boundary: one schedule's surprise must not stop the others
                failures += 1
                _log.exception("schedule failed in the scheduler, it is tried again", extra=self.identity.facts)
                await self._wait(self._pause_after(failures))

    @property
    def _gone(self) -> bool:
        progress = self._progress
        return self._schedule is None and (progress is None or not progress.active)

    @property
    def _progress(self) -> Progress | None:
        return self._with.cursors.get(self.identity.id)

    def _decide(self) -> Decision:
        catch_up = self._schedule.catch_up if self._schedule is not None else CatchUp.SKIP
        terms = Terms(rule=self._rule, active=self._active, catch_up=catch_up, switched_on=self._switched_on)
        return decide(terms, self._progress, now=self._with.clock.now(), limits=self._with.policy.limits)

    async def _step(self) -> None:
        match self._decide():
            case Wait(until):
                await self._wait(until)
            case Settle() as settle:
                if not self._vouches_for(settle):
                    await self._wait(None)
                elif await self._may_act(self._progress, self._with.clock.now(), self._grace_to_settle(settle)):
                    await self._settle(settle)
            case Fire(nominal):
                if await self._may_act(nominal, nominal, self._grace_to_fire(nominal)):
                    await self._fire(nominal)
            case never:
                assert_never(never)

    # --- taking turns ----------------------------------------------------------------------------------------------

    def _vouches_for(self, settle: Settle) -> bool:
        """Whether this replica knows enough to move the schedule on: its definitions may be out of date."""
        progress = self._progress
        if self._available or progress is None:
            return True
        by_hand = self._switch is not None or progress.active == settle.progress.active
        return by_hand and progress.rule == settle.progress.rule

    def _grace_to_settle(self, settle: Settle) -> timedelta:
        progress, policy = self._progress, self._with.policy
        other_terms = progress is not None and (
            progress.active != settle.progress.active or progress.rule != settle.progress.rule
        )
        if other_terms and self._contradicted:
            return policy.patience  # replicas that see different definitions must not chase each other
        return timedelta() if self._with.turn.held else policy.standby

    def _grace_to_fire(self, nominal: datetime) -> timedelta:
        progress, policy = self._progress, self._with.policy
        if self._with.turn.held or self._begun == nominal:
            return timedelta()
        others = progress is not None and progress.begun == nominal
        return policy.patience if others else policy.standby

    async def _may_act(self, what: object, since: datetime, grace: timedelta) -> bool:
        """Wait out the grace since this was to be done first; False: something changed meanwhile."""
        if self._standing is None or self._standing[0] != what:
            self._standing = (what, since)
        until = self._standing[1] + grace
        if self._with.clock.now() >= until:
            return True
        await self._wait(until)
        return False

    async def _wait(self, until: datetime | None) -> None:
        """Return when something changed, or at ``until``."""
        if until is None:
            await self._changed.wait()
        else:
            await self._with.clock.wait(self._changed, until)

    def _pause_after(self, failures: int) -> datetime:
        policy = self._with.policy
        pause = min(policy.longest_pause, policy.first_pause * (1 << min(failures - 1, 10)))
        return self._with.clock.now() + pause

    # --- acting ----------------------------------------------------------------------------------------------------

    async def _settle(self, settle: Settle) -> None:
        for dropped in settle.dropped:
            outcome = skipped(self.identity, dropped.nominal, dropped.reason, missed=True)
            await self._with.journal.record(self.identity.id, outcome)
        if settle.dropped:
            facts = {**self.identity.facts, "count": len(settle.dropped), "reason": settle.dropped[-1].reason}
            _log.warning("ticks missed", extra=facts)
        await self._with.cursors.write(self.identity, settle.progress)

    async def _fire(self, nominal: datetime) -> None:
        progress, cursors = self._progress, self._with.cursors
        if progress is None:
            return
        if progress.begun != nominal and not await cursors.write(self.identity, replace(progress, begun=nominal)):
            return
        self._begun = nominal
        if not self._available:
            await self._wait(None)
            return
        if self._tries.nominal != nominal:
            self._tries = _Tries(nominal)
        self._tries.again = None
        outcome = await self._while_wanted(nominal)
        if outcome is not None and self._decide() == Fire(nominal):
            await self._publish(nominal, outcome)
        elif self._tries.again is not None:
            await self._wait(self._tries.again)

    async def _while_wanted(self, nominal: datetime) -> Outcome | None:
        """Evaluate the tick; None: it is not wanted any more, or has to be tried again."""
        work = asyncio.ensure_future(self._evaluate(nominal))
        try:
            while True:
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({work, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if work.done():
                    return work.result()
                self._changed.clear()
                if self._decide() != Fire(nominal):
                    return None
        finally:
            work.cancel()

    async def _evaluate(self, nominal: datetime) -> Outcome | None:
        schedule, identity = self._schedule, self.identity
        if schedule is None:
            return None
        try:
            async with self._slots:
                answer = await self._with.evaluator.evaluate_schedule(
                    identity.location,
                    identity.repository,
                    identity.name,
                    scheduled_time=nominal,
                    deadline=self._with.policy.evaluation,
                )
        except LocationError as error:
            return self._tried_in_vain(nominal, error)
        return outcome_of(schedule, nominal, answer)

    def _tried_in_vain(self, nominal: datetime, error: LocationError) -> Outcome | None:
        tries = self._tries
        away = isinstance(error, LocationUnavailableError) and not isinstance(error, LocationTimeoutError)
        tries.away, tries.faults = (tries.away + 1, tries.faults) if away else (tries.away, tries.faults + 1)
        if tries.faults >= self._with.policy.attempts:
            return failed(self.identity, nominal, ErrorInfo(type=type(error).__name__, message=str(error)))
        facts = {**self.identity.facts, "nominal": instant(nominal), "cause": str(error)}
        _log.warning("tick is tried again", extra=facts)
        tries.again = self._pause_after(tries.away + tries.faults)
        return None

    async def _publish(self, nominal: datetime, outcome: Outcome) -> None:
        fresh = 0
        try:
            fresh = await self._with.journal.request(outcome.requests)
        except (BusUnavailableError, ConflictError, PermissionDeniedError):
            raise
        except BusError as error:  # refused for good, as a run config larger than the bus takes
            refusal = ErrorInfo(type=type(error).__name__, message=str(error))
            outcome = failed(self.identity, nominal, refusal)
        recorded = await self._with.journal.record(self.identity.id, outcome)
        progress = self._progress
        if progress is not None and progress.through < nominal:
            await self._with.cursors.write(self.identity, replace(progress, through=nominal, begun=None))
        self._tell(nominal, outcome, fresh=fresh, recorded=recorded)

    def _tell(self, nominal: datetime, outcome: Outcome, *, fresh: int, recorded: bool) -> None:
        facts: Mapping[str, object] = {
            **self.identity.facts,
            "nominal": instant(nominal),
            "late_seconds": round((self._with.clock.now() - nominal).total_seconds(), 3),
        }
        if not recorded:
            _log.info("tick was settled by another replica, or before a restart", extra=facts)
        elif isinstance(outcome.event, TickFailed):
            _log.warning("tick failed", extra={**facts, "error": outcome.event.error.message})
        elif outcome.requests:
            _log.info("tick requested", extra={**facts, "runs": len(outcome.requests), "fresh": fresh})
        else:
            _log.info("tick skipped", extra=facts)
