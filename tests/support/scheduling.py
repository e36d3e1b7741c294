"""A scheduler in a test: a clock that the test moves, locations that it defines, a lease that it gives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_scheduler.policy import Policy
from dagwire_scheduler.service import Scheduler
from dagwire_shared.bus import Bus
from dagwire_shared.commands import RequestRun
from dagwire_shared.envelope import Envelope, decode
from dagwire_shared.events import ScheduleSwitched, TickFailed, TickRequested, TickSkipped
from dagwire_shared.ids import ScheduleId, schedule_id_for
from dagwire_shared.locations import Location, Status
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.records import ScheduleCursor, ScheduleSwitch, cursor_key, switch_key
from dagwire_shared.streams import EVENTS, REQUESTS, Stream
from support.buses import read_to_end
from support.codeservers import Evaluate, a_repository, one_run

NIGHTLY = schedule_id_for("code", "main", "nightly")
START = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)

TickEvent = TickRequested | TickSkipped | TickFailed


async def settle() -> None:
    """Return when nothing in this event loop can go on by itself."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:  # type: ignore[attr-defined] # noqa: ASYNC110 -- asyncio has no word for it
        await asyncio.sleep(0)


class VirtualClock:
    """Stands still until the test moves it; then everything that was due on the way happens, in order."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._waiting: set[tuple[datetime, asyncio.Event]] = set()
        self.listeners: set[Callable[[], None]] = set()

    def now(self) -> datetime:
        return self._now

    async def wait(self, event: asyncio.Event, until: datetime) -> None:
        if event.is_set() or until <= self._now:
            return
        mine = (until, asyncio.Event())
        self._waiting.add(mine)
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(mine[1].wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(mine)
            for wait in waits:
                wait.cancel()

    async def to(self, instant: datetime) -> None:
        """Go on to an instant."""
        await settle()
        while due := [until for until, _ in self._waiting if until <= instant]:
            self._now = max(self._now, min(due))
            for until, wake in tuple(self._waiting):
                if until <= self._now:
                    wake.set()
            await settle()
        self._now = max(self._now, instant)
        await settle()

    async def by(self, **duration: float) -> None:
        """Go on by a while."""
        await self.to(self._now + timedelta(**duration))

    async def jump(self, **duration: float) -> None:
        """Put the clock forward or back, as a person or a suspended machine does: timers know nothing of it."""
        self._now += timedelta(**duration)
        for listener in tuple(self.listeners):
            listener()
        await settle()


class FakeLease:
    """A lease that the test gives and takes."""

    def __init__(self, *, held: bool = True) -> None:
        self._gained, self._lost = asyncio.Event(), asyncio.Event()
        self.give() if held else self.take()

    @property
    def held(self) -> bool:
        return self._gained.is_set()

    def give(self) -> None:
        self._gained.set()
        self._lost.clear()

    def take(self) -> None:
        self._lost.set()
        self._gained.clear()

    async def until_gained(self) -> None:
        await self._gained.wait()

    async def until_lost(self) -> None:
        await self._lost.wait()


class FakeLocations:
    """One code location whose definitions and answers the test decides."""

    def __init__(self, *schedules: pb.Schedule, evaluate: Evaluate = one_run) -> None:
        self.evaluate = evaluate
        self.evaluations: list[tuple[str, datetime]] = []
        self.location = Location(name="code", host="127.0.0.1", port=1)
        self._changed: set[asyncio.Event] = set()
        self._version = 0
        self.define(*schedules)

    def define(self, *schedules: pb.Schedule, jobs: Sequence[str] = ("etl",)) -> None:
        """Serve these schedules from now on."""
        self._version += 1
        repository = a_repository(*schedules, jobs=jobs)
        definitions = pb.DefinitionsState(definitions_hash=f"v{self._version}")
        definitions.loaded_at.FromDatetime(START)
        pointer = pb.CodePointer(python_file="/code/repo.py", working_directory="/code", executable="/usr/bin/python3")
        server = pb.ServerInfo(code_pointer=pointer, definitions=definitions)
        self._become(
            status=Status.LOADED, server=server, repositories={"main": repository}, definitions_hash=f"v{self._version}"
        )

    def go_away(self, status: Status = Status.UNREACHABLE) -> None:
        """Keep the last good definitions, as stale."""
        self._become(status=status)

    def come_back(self) -> None:
        self._become(status=Status.LOADED)

    def _become(self, **fields: object) -> None:
        kept = {name: getattr(self.location, name) for name in ("server", "repositories", "definitions_hash")}
        self.location = Location(name="code", host="127.0.0.1", port=1, **{**kept, **fields})
        for event in self._changed:
            event.set()

    async def changes(self) -> AsyncIterator[Location]:
        event = asyncio.Event()
        self._changed.add(event)
        while True:
            event.clear()
            yield self.location
            await event.wait()

    async def evaluate_schedule(
        self, location: str, repository: str, schedule: str, *, scheduled_time: datetime, deadline: timedelta
    ) -> pb.EvaluateScheduleResponse:
        self.evaluations.append((schedule, scheduled_time))
        return await self.evaluate(schedule, scheduled_time)


class CrashingBus:
    """From an instant on does so many more writes of a tick and then hangs, as a process that is killed does."""

    def __init__(self, bus: Bus, clock: VirtualClock, *, at: datetime, after: int) -> None:
        self._bus = bus
        self._clock = clock
        self._at = at
        self._left = after
        self.hanging = asyncio.Event()
        self.streams = self
        self.state = self
        self.signals = bus.signals
        self.connected = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._bus.streams, name, None) or getattr(self._bus.state, name)

    async def _step(self) -> None:
        if self._clock.now() < self._at:
            return
        if self._left == 0:
            self.hanging.set()
            await asyncio.Event().wait()
        self._left -= 1

    async def put(self, key: str, value: bytes, **options: object) -> int:
        if key.startswith("cursor."):
            await self._step()
        return await self._bus.state.put(key, value, **options)

    async def publish(self, *message: object, **options: object) -> object:
        await self._step()
        return await self._bus.streams.publish(*message, **options)

    async def publish_all(self, *messages: object, **options: object) -> object:
        await self._step()
        return await self._bus.streams.publish_all(*messages, **options)


@dataclass
class Stage:
    """A bus, a clock, and as many schedulers as the test starts."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(now=self.clock.now)
        self.bus: Bus = MemoryBus(self.broker)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start(
        self, locations: FakeLocations, lease: FakeLease | None = None, bus: Bus | None = None
    ) -> asyncio.Task[None]:
        """Start a scheduler, and return when it has nothing more to do now."""
        scheduler = Scheduler(
            bus or MemoryBus(self.broker), locations, lease=lease or FakeLease(), clock=self.clock, policy=self.policy
        )
        task = await self._stack.enter_async_context(in_background(scheduler.run()))
        await settle()
        return task

    async def requests(self) -> list[RequestRun]:
        return await requests(self.bus)

    async def ticks(self, schedule_id: ScheduleId = NIGHTLY) -> list[TickEvent]:
        return await ticks(self.bus, schedule_id)

    async def cursor(self, schedule_id: ScheduleId = NIGHTLY) -> ScheduleCursor:
        entry = await self.bus.state.get(cursor_key(schedule_id))
        assert entry is not None
        return ScheduleCursor.model_validate_json(entry.value)

    async def switch(self, status: str, *, name: str = "nightly", at: datetime | None = None) -> None:
        await switch(self.bus, status, name=name, at=at or self.clock.now())
        await settle()


async def switch(bus: Bus, status: str, *, name: str = "nightly", at: datetime, location: str = "code") -> None:
    """Switch a schedule, as Dagit does."""
    record = ScheduleSwitch(location=location, repository="main", schedule=name, status=status, by="ada", at=at)
    key = switch_key(schedule_id_for(location, "main", name))
    await bus.state.put(key, record.model_dump_json().encode())


async def until_cursor(
    bus: Bus, wanted: Callable[[ScheduleCursor], bool], schedule_id: ScheduleId = NIGHTLY
) -> ScheduleCursor:
    """Return a schedule's cursor as soon as it is as wanted."""
    async with asyncio.timeout(30), aclosing(bus.state.watch("cursor")) as entries:
        async for entry in entries:
            if entry is not None and entry.key == cursor_key(schedule_id) and entry.value is not None:
                cursor = ScheduleCursor.model_validate_json(entry.value)
                if wanted(cursor):
                    return cursor
    raise AssertionError


def through(instant: datetime) -> Callable[[ScheduleCursor], bool]:
    """Whether the schedule is settled up to an instant."""
    return lambda cursor: cursor.evaluated_through >= instant


async def envelopes(bus: Bus, stream: Stream) -> list[Envelope]:
    return [decode(one.body) for one in await read_to_end(bus, stream)]


async def requests(bus: Bus) -> list[RequestRun]:
    """Every run request that the bus accepted."""
    return [one.command for one in await envelopes(bus, REQUESTS)]


async def ticks(bus: Bus, schedule_id: ScheduleId = NIGHTLY) -> list[TickEvent]:
    """Every recorded tick of a schedule, in stream order."""
    found = [one.event for one in await envelopes(bus, EVENTS) if one.subject == schedule_id]
    return [one for one in found if isinstance(one, TickRequested | TickSkipped | TickFailed)]


async def switchings(bus: Bus) -> list[ScheduleSwitched]:
    found = [one.event for one in await envelopes(bus, EVENTS)]
    return [one for one in found if isinstance(one, ScheduleSwitched)]


@asynccontextmanager
async def in_background(work: Awaitable[None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run something; if it ended by itself, the test fails with its error."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        ended = task.done() and not task.cancelled()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not ended, "it ended by itself"
