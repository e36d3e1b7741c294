"""Step workers as local processes, created as a run orders them: what the launcher does, with faults put in."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from dagwire_shared.bus import Bus
from dagwire_shared.envelope import decode, event_message
from dagwire_shared.events import FailureCause, StepWorkerEnded, StepWorkerReleased, StepWorkerRequested
from dagwire_shared.ids import RunId
from dagwire_shared.records import CodeLocation
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import Kind, event_subject
from support.launching import WorkerProcess


class StepProcesses:
    """Creates a process for each step that one run orders, once, and tells its end."""

    def __init__(self, bus: Bus, run_id: RunId, place: CodeLocation, launch: bytes, directory: Path) -> None:
        self.bus, self.run_id, self.place, self.launch = bus, run_id, place, launch
        self.directory = directory
        self.settings: dict[str, object] = {}
        self.nats_url = ""
        self.processes: dict[str, WorkerProcess] = {}
        self.orders: list[StepWorkerRequested | StepWorkerReleased] = []
        self.tells_ends = True
        self.creates = True
        self.own_storage = False
        self._tasks: set[asyncio.Task[None]] = set()

    def create(self, step_key: str, *, name: str | None = None, attempt: int = 1) -> WorkerProcess:
        """Start a worker of a step."""
        directory = self.directory / (name or step_key)
        settings = {**self.settings, **({"storage_directory": directory} if self.own_storage else {})}
        process = WorkerProcess(
            self.place, self.launch, directory, nats_url=self.nats_url, step=(step_key, attempt), **settings
        )
        self.processes[name or step_key] = process
        return process

    async def tell_end(self, step_key: str, message: str, cause: FailureCause | None = None) -> None:
        """Say that the worker of a step has ended."""
        event = StepWorkerEnded(step_key=step_key, worker="process", message=message, cause=cause)
        message_id = f"{self.run_id}:{step_key}:ended"
        await self.bus.streams.publish(
            event_message(event, id=message_id, source="/test", subject=self.run_id, time=datetime.now(UTC))
        )

    async def follow(self) -> None:
        """Carry out the orders of the run, without end."""
        subject = event_subject(self.run_id, Kind.ORDER)
        async for batch in self.bus.streams.follow(EVENTS, subjects=[subject]):
            for delivery in batch.deliveries:
                order = decode(delivery.body).event
                assert isinstance(order, StepWorkerRequested | StepWorkerReleased)
                self.orders.append(order)
                if isinstance(order, StepWorkerReleased):
                    if order.step_key in self.processes:
                        self.processes[order.step_key].kill()
                elif self.creates and order.step_key not in self.processes:
                    process = self.create(order.step_key)
                    task = asyncio.create_task(self._watch(order.step_key, process))
                    self._tasks.add(task)

    async def _watch(self, step_key: str, process: WorkerProcess) -> None:
        code = await process.ended()
        if self.tells_ends:
            cause = FailureCause.WORKER_LOST if code else None
            await self.tell_end(step_key, f"ended with exit code {code}", cause)

    def text(self) -> str:
        """What all of them wrote."""
        return "\n".join(f"== {name}\n{process.text()}" for name, process in self.processes.items())

    async def close(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()


@contextlib.asynccontextmanager
async def following(processes: StepProcesses) -> AsyncIterator[StepProcesses]:
    """Carry out orders while the context is open."""
    task = asyncio.create_task(processes.follow())
    try:
        yield processes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await processes.close()
