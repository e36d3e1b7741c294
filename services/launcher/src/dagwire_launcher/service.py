"""Puts the launcher's parts together and runs them: admission and watch always, the queue while the lease is held."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from dagwire_shared.bus import Bus
from dagwire_shared.ids import RunId
from dagwire_shared.leases import LeaseKeeper

from dagwire_launcher.backend import Backend
from dagwire_launcher.dispatch import Dispatcher
from dagwire_launcher.endings import Limits
from dagwire_launcher.errors import BackendUnavailableError
from dagwire_launcher.intake import Intake
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.locations import Locations
from dagwire_launcher.locks import RunLocks
from dagwire_launcher.orders import Orders
from dagwire_launcher.stepless import Stepless
from dagwire_launcher.steps import Steps
from dagwire_launcher.sweep import EVERY, Sweep
from dagwire_launcher.watch import Watch

log = logging.getLogger(__name__)

ROLE: Final = "launcher"
"""The lease of the acting launcher."""

_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator decides."""

    limits: Limits
    max_concurrent_runs: int
    location_patience: timedelta
    launches_at_once: int = 4
    """How many workers are being created at the same time."""
    sweep: timedelta = EVERY
    end_workers_on_stop: bool = False


class Launcher:
    """The launcher service."""

    def __init__(self, bus: Bus, backend: Backend, policy: Policy, *, holder: str) -> None:
        self._backend = backend
        self._policy = policy
        self._lease = LeaseKeeper(bus.state, ROLE, holder=holder)
        locks = RunLocks()
        ledger = Ledger(bus.streams)
        self._locations = Locations(bus.state)
        self._intake = Intake(bus, ledger, self._locations, patience=policy.location_patience)
        self._dispatcher = Dispatcher(
            bus.streams,
            ledger,
            self._locations,
            backend=backend,
            locks=locks,
            limit=policy.max_concurrent_runs,
            at_once=policy.launches_at_once,
        )
        self._orders = Orders(bus.streams, ledger, locks)
        self._sweep = Sweep(bus.streams, backend, every=policy.sweep)
        self._steps = Steps(
            bus.streams,
            ledger,
            backend.steps or Stepless(backend.name),
            policy.limits,
            at_once=policy.launches_at_once,
        )
        self._watch = Watch(backend, ledger, policy.limits, freed=self._dispatcher.wake)

    def watches(self, run_id: RunId) -> bool:
        """Return whether this launcher watches over a worker of the run."""
        return self._watch.knows(run_id)

    async def run(self) -> None:
        """Launch runs until cancelled; workers live on unless the policy says otherwise."""
        async with self._backend.open():
            try:
                async with self._lease, asyncio.TaskGroup() as group:
                    # Requests are admitted while the backend is away.
                    group.create_task(self._find_workers())
                    group.create_task(self._locations.run())
                    group.create_task(self._intake.run())
                    group.create_task(self._lease.run_while_held(self._act))
            finally:
                if self._policy.end_workers_on_stop:
                    await self._watch.end_all(within=self._policy.limits.stop.total_seconds())
                await self._watch.close()

    async def _act(self) -> None:
        """Do what one launcher at a time does."""
        log.info("launcher acts")
        # Again, since another launcher may have created workers in the meantime.
        await self._find_workers()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatcher.run(self._watch))
            group.create_task(self._orders.run(self._watch))
            group.create_task(self._sweep.run(self._watch))
            group.create_task(self._steps.run())

    async def _find_workers(self) -> None:
        while True:
            try:
                await self._watch.find()
            except BackendUnavailableError as error:
                log.warning("backend cannot be asked for its workers", extra={"cause": str(error)})
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return
