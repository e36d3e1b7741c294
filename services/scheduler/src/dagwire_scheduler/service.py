"""The scheduler: brings schedules, switches, cursors and the lease together, and runs one runner per schedule."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final, Protocol

from dagwire_shared.bus import Bus
from dagwire_shared.ids import ScheduleId
from dagwire_shared.locations import Location, Status

from dagwire_scheduler.clock import Clock
from dagwire_scheduler.cursors import Cursors
from dagwire_scheduler.journal import Journal
from dagwire_scheduler.policy import Policy
from dagwire_scheduler.registrar import register
from dagwire_scheduler.runner import Evaluator, Runner, Surroundings, Turn
from dagwire_scheduler.schedules import Identity, schedules_of
from dagwire_scheduler.switches import Switches

_log: Final = logging.getLogger(__name__)


class CodeLocations(Evaluator, Protocol):
    """The code locations, as ``dagwire_shared.locations.Locations`` has them."""

    def changes(self) -> AsyncIterator[Location]:
        """Yield every location once, then each again when it changed."""
        ...


class Lease(Turn, Protocol):
    """A lease, as ``dagwire_shared.leases.LeaseKeeper`` keeps it."""

    async def until_gained(self) -> None:
        """Return when this replica holds it."""
        ...

    async def until_lost(self) -> None:
        """Return when this replica does not hold it."""
        ...


class Scheduler:
    """Every schedule of every code location, run while ``run`` runs."""

    def __init__(self, bus: Bus, locations: CodeLocations, *, lease: Lease, clock: Clock, policy: Policy) -> None:
        self._bus = bus
        self._locations = locations
        self._lease = lease
        self._clock = clock
        self._policy = policy
        journal = Journal(bus.streams, clock, deadline=policy.publish)
        self._cursors = Cursors(bus.state)
        self._switches = Switches(bus.state, journal)
        self._surroundings = Surroundings(self._cursors, journal, locations, lease, clock, policy)
        self._runners: dict[ScheduleId, Runner] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._cursors_known, self._switches_known = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Run the schedules until cancelled."""
        self._clock.listeners.add(self._poke)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_cursors(), name="cursors")
            tasks.create_task(self._follow_switches(), name="switches")
            await self._cursors_known.wait()
            await self._switches_known.wait()
            tasks.create_task(self._switches.announce(), name="announce")
            tasks.create_task(self._follow_lease(), name="lease")
            tasks.create_task(register(self._bus.state, self._locations.changes()), name="register")
            await self._follow_locations(tasks)

    async def _follow_cursors(self) -> None:
        async for schedule_id in self._cursors.follow():
            if schedule_id is None:
                self._cursors_known.set()
            elif schedule_id in self._runners:
                self._runners[schedule_id].contradict()

    async def _follow_switches(self) -> None:
        async for schedule_id in self._switches.follow():
            if schedule_id is None:
                self._switches_known.set()
            elif schedule_id in self._runners:
                self._runners[schedule_id].switch(self._switches.get(schedule_id))

    async def _follow_lease(self) -> None:
        """A replica that gains the lease does at once what it left to the one that lost it."""
        while True:
            await self._lease.until_gained()
            self._poke()
            await self._lease.until_lost()

    def _poke(self) -> None:
        for runner in self._runners.values():
            runner.poke()

    async def _follow_locations(self, tasks: asyncio.TaskGroup) -> None:
        async for location in self._locations.changes():
            if location.status is Status.LOADED:
                self._take(location, tasks)
            else:
                for runner in self._runners_of(location.name):
                    runner.suspend()

    def _take(self, location: Location, tasks: asyncio.TaskGroup) -> None:
        schedules = schedules_of(location)
        gone = {runner.identity.id: runner.identity for runner in self._runners_of(location.name)}
        gone |= {identity.id: identity for identity in self._cursors.active_in(location.name)}
        for schedule in schedules.values():
            gone.pop(schedule.identity.id, None)
            self._runner(schedule.identity, tasks).define(schedule)
        for identity in gone.values():
            self._runner(identity, tasks).define(None)

    def _runners_of(self, location: str) -> list[Runner]:
        return [runner for runner in self._runners.values() if runner.identity.location == location]

    def _runner(self, identity: Identity, tasks: asyncio.TaskGroup) -> Runner:
        runner = self._runners.get(identity.id)
        if runner is None:
            slots = self._slots.setdefault(identity.location, asyncio.Semaphore(self._policy.evaluations_at_once))
            runner = Runner(identity, self._surroundings, slots)
            runner.switch(self._switches.get(identity.id))
            self._runners[identity.id] = runner
            tasks.create_task(self._run(runner), name=f"schedule {identity.name}")
        return runner

    async def _run(self, runner: Runner) -> None:
        try:
            await runner.run()
        finally:
            if self._runners.get(runner.identity.id) is runner:
                del self._runners[runner.identity.id]
