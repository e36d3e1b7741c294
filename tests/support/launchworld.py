"""The launcher in one process: a bus in memory, workers that are tasks, and crashes between any two effects."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from dagwire_launcher.backend import Worker, WorkerDelay, WorkerEnd, WorkerOrder
from dagwire_launcher.endings import CLAIM_LOST, Limits
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.service import Launcher, Policy
from dagwire_shared.bus import Bus
from dagwire_shared.envelope import Envelope, decode, event_message
from dagwire_shared.errors import ConflictError
from dagwire_shared.events import Event, RunStarted, RunSucceeded
from dagwire_shared.ids import RunId
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.records import CodeLocation, CodePointer, location_key
from dagwire_shared.streams import EVENTS, QUEUE
from dagwire_shared.subjects import event_filter, queue_subject
from support.buses import read_to_end

HERE = CodeLocation(
    name="here", definitions_hash="abc", pointer=CodePointer(working_directory="/code", executable="python")
)


class Crash(BaseException):
    """The launcher's process is gone."""


class Fuse:
    """Burns with every effect; when it has burnt down, the launcher is gone before or after that effect."""

    def __init__(self, effects: int | None = None, *, after: bool = False) -> None:
        self.left = effects
        self.after = after
        self.burnt = 0
        self.gone = asyncio.Event()
        """Set when the launcher is gone."""

    async def effect(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do something that others can see, or crash."""
        self.burnt += 1
        if self.gone.is_set():
            raise Crash
        last = self.burnt == self.left
        if last and not self.after:
            self.gone.set()
            raise Crash
        result = await work()
        if last:
            self.gone.set()
            raise Crash
        return result


class Fused:
    """An object some of whose methods are effects."""

    def __init__(self, inner: Any, fuse: Fuse, effects: Sequence[str], **parts: Any) -> None:
        self._inner, self._fuse, self._effects = inner, fuse, effects
        self.__dict__.update(parts)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._effects:
            return found

        async def effect(*args: Any, **kwargs: Any) -> Any:
            return await self._fuse.effect(lambda: found(*args, **kwargs))

        return effect


class FusedStreams(Fused):
    """Streams whose subscriptions acknowledge as an effect."""

    @asynccontextmanager
    async def consume(self, consumer: Any) -> AsyncIterator[Any]:
        async with self._inner.consume(consumer) as subscription:
            yield Fused(subscription, self._fuse, ["acknowledge"])


class World:
    """What outlives a launcher: the broker and the workers."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker)
        self.created: Counter[RunId] = Counter()
        """How many worker processes were started."""
        self.asked: Counter[RunId] = Counter()
        self.orders: dict[RunId, WorkerOrder] = {}
        """What each worker was created from."""
        self.workers: dict[RunId, Worker] = {}
        self.released: set[RunId] = set()
        self.ends: dict[RunId, asyncio.Future[WorkerEnd]] = {}
        self.stops: list[tuple[RunId, bool]] = []
        self.refuse: str | None = None
        """Why no worker can ever be created."""
        self.away: str | None = None
        """Why none can be created now."""
        self.delays: list[WorkerDelay] = []
        """What keeps workers from running, one after another."""
        self.play: Callable[[RunId], Awaitable[WorkerEnd]] = self.succeed
        """What a worker does."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def say(self, run_id: RunId, event: Event, number: int, *, expected_last: int | None = None) -> None:
        """Publish a worker's event."""
        message = event_message(
            event, id=f"{run_id}:1:{number}", source="/test", subject=run_id, time=datetime.now(UTC)
        )
        await self.bus.streams.publish(message, expected_last=expected_last)

    async def succeed(self, run_id: RunId) -> WorkerEnd:
        """Take the run and end it well."""
        try:
            await self.say(run_id, RunStarted(worker="w", host="h", pid=1), 0, expected_last=0)
        except ConflictError:
            return WorkerEnd(code=CLAIM_LOST)
        await self.say(run_id, RunSucceeded(seconds=0), 1)
        return WorkerEnd(code=0, pid=1)

    async def hang(self, run_id: RunId) -> WorkerEnd:
        """Take the run and go on until killed."""
        await self.say(run_id, RunStarted(worker="w", host="h", pid=1), 0, expected_last=0)
        return await asyncio.Future()

    async def sleep(self, run_id: RunId) -> WorkerEnd:
        """Say nothing until killed."""
        return await asyncio.Future()

    def create(self, order: WorkerOrder) -> Worker:
        """Start a worker, or return the one that is there."""
        self.asked[order.run_id] += 1
        if order.run_id not in self.workers:
            self.created[order.run_id] += 1
            self.orders[order.run_id] = order
            self.workers[order.run_id] = Worker(order.run_id, f"worker-{order.run_id}", datetime.now(UTC))
            self.ends[order.run_id] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._play(order.run_id))
            self._tasks.add(task)
        return self.workers[order.run_id]

    async def _play(self, run_id: RunId) -> None:
        end = await self.play(run_id)
        if not self.ends[run_id].done():
            self.ends[run_id].set_result(end)

    def kill(self, run_id: RunId, end: WorkerEnd) -> None:
        """End a worker from outside."""
        if not self.ends[run_id].done():
            self.ends[run_id].set_result(end)

    async def close(self) -> None:
        """End all workers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class WorldBackend:
    """A launcher's view of the world's workers."""

    name = "world"
    trouble = None
    steps = None

    def __init__(self, world: World) -> None:
        self._world = world

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        yield

    async def create(self, order: WorkerOrder) -> Worker:
        if self._world.away is not None:
            self._world.asked[order.run_id] += 1
            raise BackendUnavailableError(self._world.away)
        if self._world.refuse is not None:
            raise LaunchRefusedError(self._world.refuse)
        return self._world.create(order)

    async def workers(self) -> Sequence[Worker]:
        return [one for run_id, one in self._world.workers.items() if run_id not in self._world.released]

    async def end_of(self, run_id: RunId, *, delayed: Callable[[WorkerDelay | None], None] | None = None) -> WorkerEnd:
        if run_id not in self._world.ends:
            return WorkerEnd(reason="there is none")
        if delayed is not None:
            for delay in self._world.delays:
                delayed(delay)
        return await asyncio.shield(self._world.ends[run_id])

    async def output_of(self, run_id: RunId) -> str:
        return f"last words of {run_id}"

    async def is_gone(self, run_id: RunId, name: str) -> bool:
        return run_id not in self._world.workers

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        self._world.stops.append((run_id, force))
        if force:
            self._world.kill(run_id, WorkerEnd(signal=9, pid=1))

    async def release(self, run_id: RunId) -> None:
        self._world.released.add(run_id)


def policy(*, max_concurrent_runs: int = 10, patience: float = 20.0, sweep: float = 60.0, **limits: float) -> Policy:
    """What the operator decides; limits in seconds."""
    return Policy(
        limits=Limits(**{name: timedelta(seconds=seconds) for name, seconds in limits.items()}),
        max_concurrent_runs=max_concurrent_runs,
        location_patience=timedelta(seconds=patience),
        sweep=timedelta(seconds=sweep),
    )


def a_launcher(world: World, *, fuse: Fuse | None = None, name: str = "a", rules: Policy | None = None) -> Launcher:
    """A launcher process."""
    fuse = fuse or Fuse()
    bus = MemoryBus(world.broker)
    fused: Any = Fused(bus, fuse, [], streams=FusedStreams(bus.streams, fuse, ["publish", "remove"]))
    backend: Any = Fused(WorldBackend(world), fuse, ["create", "release"])
    return Launcher(fused, backend, rules or policy(), holder=name)


@asynccontextmanager
async def running(launcher: Launcher) -> AsyncIterator[asyncio.Task[None]]:
    """Run a launcher while the context is open."""
    task = asyncio.create_task(launcher.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Crash, BaseExceptionGroup):
            await task


async def know_here(bus: Bus) -> None:
    """Write the record of the code location ``here``."""
    await bus.state.put(location_key("here"), HERE.model_dump_json().encode())


async def said_of(bus: Bus, run_id: RunId) -> list[Envelope]:
    """All events about a run."""
    return [decode(one.body) for one in await read_to_end(bus, EVENTS, subjects=[event_filter(run_id)])]


async def is_queued(bus: Bus, run_id: RunId) -> bool:
    """Whether the queue holds the run."""
    return await bus.streams.last(QUEUE, queue_subject(run_id)) is not None
