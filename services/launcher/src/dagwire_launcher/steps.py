"""Follows what runs order for their steps, and has each order seen to: the acting launcher's work.

Nothing is remembered but what the event stream and the backend hold: a launcher that is killed between any two effects
leaves an order without an end, and the next one meets the same worker under the same name.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from typing import Any, Final

from dagwire_shared.bus import Delivery, Streams
from dagwire_shared.errors import BusUnavailableError, MalformedMessageError, PermissionDeniedError
from dagwire_shared.ids import RunId
from dagwire_shared.model import utc_now
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import Kind, kind_filter

from dagwire_launcher.backend import StepBackend
from dagwire_launcher.endings import Limits
from dagwire_launcher.errors import BackendUnavailableError
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.stepname import StepName, StepWorker
from dagwire_launcher.steporders import StepOrders, Wanted
from dagwire_launcher.steptending import StepTending, tell_step_end

log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 1.0
_KINDS: Final = (Kind.ORDER, Kind.WORKER, Kind.LAUNCH, Kind.RUN)


class Steps:
    """Carries out what runs order for their steps."""

    def __init__(
        self,
        streams: Streams,
        ledger: Ledger,
        backend: StepBackend,
        limits: Limits,
        *,
        at_once: int,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._streams = streams
        self._ledger = ledger
        self._backend = backend
        self._limits = limits
        self._at_once = at_once
        self._clock = clock
        self._orders = StepOrders()
        self._tended: dict[StepName, StepTending] = {}

    async def run(self) -> None:
        """Carry out orders without end; stopped and started again as the lease goes and comes."""
        self._orders = StepOrders()
        self._tended.clear()
        gate = asyncio.Semaphore(self._at_once)
        read = False
        async with asyncio.TaskGroup() as group:
            async for batch in self._streams.follow(EVENTS, subjects=[kind_filter(kind) for kind in _KINDS]):
                changed = {run_id for one in batch.deliveries if (run_id := self._note(one)) is not None}
                if batch.caught_up and not read:
                    # Not before all is known: an order may have had its end.
                    read = True
                    changed = {name.run_id for name in self._orders.all()}
                    group.create_task(self._guarded(self._clear_away()))
                if read:
                    for work in [one for run_id in changed for one in self._due(run_id, gate)]:
                        group.create_task(self._guarded(work))

    def _note(self, delivery: Delivery) -> RunId | None:
        try:
            return self._orders.note(delivery)
        except MalformedMessageError as error:
            log.warning("event is not readable", extra={"sequence": delivery.sequence, "cause": str(error)})
            return None

    def _due(self, run_id: RunId, gate: asyncio.Semaphore) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what is to be begun for a run about which something is new; what goes on is told of it."""
        for name, tending in self._tended.items():
            if name.run_id == run_id:
                tending.nudge()
        run = self._orders.run(run_id)
        for name, wanted in () if run is None else tuple(run.workers.items()):
            if wanted.ended is None and name not in self._tended:
                find = self._finder(name)
                tending = StepTending(name, find, self._backend, self._ledger, self._limits, self._clock)
                self._tended[name] = tending
                yield self._tend(name, tending, gate)
            elif wanted.ended is not None and wanted.asked_again:
                wanted.asked_again = False
                yield tell_step_end(self._ledger, name, wanted.ended, self._finder(name), again=True)

    def _finder(self, name: StepName) -> Callable[[], Wanted | None]:
        return lambda: self._orders.find(name)

    async def _tend(self, name: StepName, tending: StepTending, gate: asyncio.Semaphore) -> None:
        try:
            await tending.run(gate)
        finally:
            self._tended.pop(name, None)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except PermissionDeniedError:
            raise  # the launcher's credential is wrong, not the step
        except Exception:  # the next launcher sees to it; the others must not suffer
            log.exception("a step is not seen to any more")

    async def _clear_away(self) -> None:
        """End the workers of runs that are over, and let go of those whose end is told: another launcher left them."""
        known = {name.worker: name for name in self._orders.all()}
        while True:
            try:
                for worker in await self._backend.workers():
                    if worker.name not in known:
                        await self._clear(worker)
                    elif (wanted := self._orders.find(known[worker.name])) is not None and wanted.ended is not None:
                        await self._backend.release(worker)
            except (BackendUnavailableError, BusUnavailableError) as error:
                log.warning("step workers are cleared away later", extra={"cause": str(error)})
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    async def _clear(self, worker: StepWorker) -> None:
        facts = await self._ledger.facts(worker.run_id)
        if facts.ended:
            log.info("step worker of an ended run", extra={"run_id": worker.run_id, "worker": worker.name})
            await self._backend.stop(worker, force=True)
            await self._backend.release(worker)
