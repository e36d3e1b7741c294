"""Follows the queue and starts what is due: the acting launcher's work.

The queue is held in memory; what decides is read again right before a worker is created. A crash between any
two steps leaves the message on the queue, and the next launcher meets the same worker.
"""

import asyncio
import contextlib
import logging
from itertools import count
from typing import Final

from dagwire_shared.bus import Delivery, Streams
from dagwire_shared.commands import LaunchRun, RunCode
from dagwire_shared.errors import BusUnavailableError, ConflictError, MalformedMessageError, PermissionDeniedError
from dagwire_shared.events import FailureCause, RunDropped, RunLaunched, RunLost, RunQueued
from dagwire_shared.ids import RunId
from dagwire_shared.streams import QUEUE

from dagwire_launcher.admission import queued, run_code, unknown_location
from dagwire_launcher.backend import Backend, Worker, WorkerDelay
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.facts import Said
from dagwire_launcher.ledger import LaunchEvent, Ledger
from dagwire_launcher.locations import Locations
from dagwire_launcher.locks import RunLocks
from dagwire_launcher.queue import Queue, Waiting, read_waiting
from dagwire_launcher.watch import Watch
from dagwire_launcher.workerorder import worker_order

log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 1.0
_AGAIN_LATER_SECONDS: Final = 10.0
_TOLD_AFTER: Final = 2
"""How often the backend must have been away for a run before that run's readers are told."""


class Dispatcher:
    """Starts waiting runs in their order, within the limit."""

    def __init__(
        self,
        streams: Streams,
        ledger: Ledger,
        locations: Locations,
        *,
        backend: Backend,
        locks: RunLocks,
        limit: int,
        at_once: int,
    ) -> None:
        self._streams = streams
        self._ledger = ledger
        self._locations = locations
        self._backend = backend
        self._locks = locks
        self._limit = limit
        self._at_once = at_once
        self._queue = Queue()
        self._starting: set[RunId] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that a worker ended, so that another run may start."""
        self._wake.set()

    async def run(self, watch: Watch) -> None:
        """Start runs without end; stopped and started again as the lease goes and comes."""
        self._queue = Queue()
        self._starting.clear()
        read = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(read))
            # Not before all of the queue is known: the first runs to start are those that rank first.
            await read.wait()
            while True:
                self._wake.clear()
                for waiting in self._due(watch):
                    self._starting.add(waiting.order.run_id)
                    group.create_task(self._start(waiting, watch))
                await self._wake.wait()

    def _due(self, watch: Watch) -> list[Waiting]:
        occupied = len(watch.living) + sum(run_id not in watch.living for run_id in self._starting)
        return self._queue.take(min(self._limit - occupied, self._at_once - len(self._starting)))

    async def _follow(self, read: asyncio.Event) -> None:
        async for batch in self._streams.follow(QUEUE):
            for delivery in batch.deliveries:
                await self._keep(delivery)
            if batch.caught_up and not read.is_set():
                log.info("queue read", extra={"waiting": len(self._queue)})
                read.set()
            self._wake.set()

    async def _keep(self, delivery: Delivery) -> None:
        try:
            waiting = read_waiting(delivery)
        except MalformedMessageError as error:
            await self._ledger.bury(delivery, str(error))
            await self._streams.remove(QUEUE, delivery.sequence)
        else:
            self._queue.put(waiting)

    async def _start(self, waiting: Waiting, watch: Watch) -> None:
        run_id = waiting.order.run_id
        try:
            await self._try(waiting, watch)
        except PermissionDeniedError:
            raise  # the launcher's credential is wrong, not the run
        except Exception:  # one run must not stop the others
            log.exception("run cannot be launched", extra={"run_id": run_id})
            asyncio.get_running_loop().call_later(_AGAIN_LATER_SECONDS, self._give_back, waiting)
        finally:
            self._starting.discard(run_id)
            self._wake.set()

    async def _try(self, waiting: Waiting, watch: Watch) -> None:
        """Launch a run. It keeps its place among those that start while the bus or the backend is away."""
        run_id = waiting.order.run_id
        for attempt in count(1):
            try:
                async with self._locks.holding(run_id):
                    await self._launch(waiting, watch)
                    await self._streams.remove(QUEUE, waiting.sequence)
            except ConflictError:
                log.info("run changed while it was launched", extra={"run_id": run_id})
            except BusUnavailableError as error:
                log.warning("run is launched later", extra={"run_id": run_id, "cause": str(error)})
                await asyncio.sleep(_AGAIN_SECONDS)
            except BackendUnavailableError as error:
                log.warning("run is launched later", extra={"run_id": run_id, "cause": str(error)})
                if attempt == _TOLD_AFTER:
                    await self._tell_delay(run_id, str(error))
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    def _give_back(self, waiting: Waiting) -> None:
        """Let a run take its place in the queue again; others went first for a while."""
        self._queue.put(waiting)
        self._wake.set()

    async def _tell_delay(self, run_id: RunId, cause: str) -> None:
        """Tell why a run waits though its turn has come; those behind it are told when theirs has."""
        message = f"The run waits until a worker can be created for it: {cause}"
        with contextlib.suppress(BusUnavailableError):  # it is told elsewhere, and the run goes on waiting
            await self._ledger.tell_delay(run_id, WorkerDelay(FailureCause.LAUNCH_REFUSED, message))

    async def _launch(self, waiting: Waiting, watch: Watch) -> None:
        """Give a run its worker, or its end. Returns when nothing more is to be done with its queue message.

        Raises:
            ConflictError: somebody said something about the run meanwhile: decide again.
        """
        order = waiting.order
        last, canceled, code = await asyncio.gather(
            self._ledger.launch(order.run_id), self._ledger.cancel_order(order.run_id), self._code(order)
        )
        last = last or await self._record_again(order)
        if not isinstance(last.event, RunQueued):
            return
        if canceled is not None:
            await self._say(order, RunDropped(requested_by=canceled.requested_by), last)
        elif code is None:
            await self._say(order, unknown_location(order.request), last)
        else:
            try:
                worker = await self._backend.create(worker_order(order, waiting.body, code))
            except LaunchRefusedError as error:
                await self._say(order, RunLost(cause=error.cause, message=str(error)), last)
                return
            watch.add(worker)
            await self._announce(order, worker, last, watch)

    async def _code(self, order: LaunchRun) -> RunCode | None:
        """Return the code that a run was admitted with; of an older launcher's order, what is served now, if any is."""
        if order.code is not None:
            return order.code
        location = await self._locations.find(order.request.location)
        return None if location is None else run_code(order.request, location)

    async def _record_again(self, order: LaunchRun) -> Said:
        """Record a run that the event stream has forgotten: it waited for longer than the stream keeps events."""
        event = queued(order.request)
        sequence = await self._ledger.say(order.run_id, event, after=0)
        return Said(event, sequence, order.request.key_time)

    async def _announce(self, order: LaunchRun, worker: Worker, last: Said, watch: Watch) -> None:
        event = RunLaunched(backend=self._backend.name, worker=worker.name)
        try:
            await self._say(order, event, last)
        except ConflictError:
            watch.nudge(order.run_id)  # it may be for nothing by now
            raise

    async def _say(self, order: LaunchRun, event: LaunchEvent, last: Said) -> None:
        await self._ledger.say(order.run_id, event, after=last.sequence, traceparent=last.traceparent)
        log.info(
            "run launched" if isinstance(event, RunLaunched) else "run not launched",
            extra={"run_id": order.run_id, "event": event.TYPE},
        )
