"""Step workers that are promises: created by the launcher's ``Steps``, ended by a test, counted."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.stepname import StepName, StepOrder, StepWorker
from dagwire_shared.bus import Bus
from dagwire_shared.envelope import decode, event_message
from dagwire_shared.events import Event
from dagwire_shared.ids import RunId
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import event_filter
from support.buses import read_to_end

Delayed = Callable[[WorkerDelay | None], None]


class StepWorld:
    """What outlives a launcher: the step workers."""

    def __init__(self) -> None:
        self.created: Counter[str] = Counter()
        self.orders: dict[str, StepOrder] = {}
        self.ends: dict[str, asyncio.Future[WorkerEnd]] = {}
        self.released: set[str] = set()
        self.stops: list[tuple[str, bool]] = []
        self.listeners: dict[str, Delayed] = {}
        self.refusal: Exception | None = None
        self.obeys = True
        """Whether a worker ends when it is told to."""

    def end(self, name: StepName, end: WorkerEnd) -> None:
        """Let a worker end."""
        if not self.ends[name.worker].done():
            self.ends[name.worker].set_result(end)

    # --- the backend --------------------------------------------------------------------------------------------

    async def create(self, order: StepOrder) -> None:
        if self.refusal is not None:
            raise self.refusal
        name = order.name.worker
        if name not in self.ends:
            self.created[name] += 1
            self.orders[name] = order
            self.ends[name] = asyncio.get_running_loop().create_future()

    async def workers(self) -> Sequence[StepWorker]:
        return [StepWorker(order.name.run_id, name) for name, order in self.orders.items() if name not in self.released]

    async def end_of(self, worker: StepWorker, *, delayed: Delayed | None = None) -> WorkerEnd:
        if worker.name not in self.ends:
            return WorkerEnd(reason="there is none")
        if delayed is not None:
            self.listeners[worker.name] = delayed
        return await asyncio.shield(self.ends[worker.name])

    async def output_of(self, worker: StepWorker) -> str:
        order = self.orders.get(worker.name)
        return "" if order is None else f"output of {order.name.step_key}"

    async def stop(self, worker: StepWorker, *, force: bool) -> None:
        self.stops.append((worker.name, force))
        if (force or self.obeys) and worker.name in self.ends and not self.ends[worker.name].done():
            self.ends[worker.name].set_result(WorkerEnd(signal=9 if force else 15))

    async def release(self, worker: StepWorker) -> None:
        self.released.add(worker.name)


class Teller:
    """Says what a run's worker and the launcher say."""

    def __init__(self, bus: Bus, run_id: RunId) -> None:
        self._bus, self.run_id, self._number = bus, run_id, 0

    async def say(self, *events: Event) -> None:
        """Publish events of the run."""
        for event in events:
            self._number += 1
            message_id = f"{self.run_id}:1:{self._number}"
            message = event_message(event, id=message_id, source="/test", subject=self.run_id, time=datetime.now(UTC))
            await self._bus.streams.publish(message)

    async def heard(self, kind: type[Event]) -> list[Event]:
        """All events of a type about the run."""
        read = await read_to_end(self._bus, EVENTS, subjects=[event_filter(self.run_id)])
        found = [decode(one.body).event for one in read]
        return [one for one in found if isinstance(one, kind)]
