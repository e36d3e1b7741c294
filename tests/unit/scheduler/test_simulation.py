"""Many days of bad luck: replicas that die at any write, leases that lie, code servers that go and come, switches.

Each seed is one story, told again by its number.
"""

import asyncio
import os
import random
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.bus import Bus
from dagwire_shared.cron import ticks_between
from dagwire_shared.events import TickRequested
from dagwire_shared.ids import tick_key
from dagwire_shared.locations import LocationUnavailableError
from support.codeservers import a_schedule, one_run
from support.scheduling import NIGHTLY, FakeLease, FakeLocations, Stage, settle

CRON = "*/10 * * * *"
STEPS = 40
SEEDS = int(os.environ.get("DAGWIRE_TEST_SEEDS", "30"))


class DyingBus:
    """A connection that may hang for ever before a write, or after it."""

    def __init__(self, bus: Bus, chance: random.Random, odds: float) -> None:
        self._bus = bus
        self._chance = chance
        self._odds = odds
        self.dead = False
        self.streams = self
        self.state = self
        self.signals = bus.signals
        self.connected = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._bus.streams, name, None) or getattr(self._bus.state, name)

    async def _maybe_die(self) -> None:
        if self.dead or self._chance.random() < self._odds:
            self.dead = True
            await asyncio.Event().wait()

    async def _write(self, write: object, *given: object, **options: object) -> object:
        await self._maybe_die()
        result = await write(*given, **options)
        await self._maybe_die()
        return result

    async def put(self, *given: object, **options: object) -> object:
        return await self._write(self._bus.state.put, *given, **options)

    async def publish(self, *given: object, **options: object) -> object:
        return await self._write(self._bus.streams.publish, *given, **options)

    async def publish_all(self, *given: object, **options: object) -> object:
        return await self._write(self._bus.streams.publish_all, *given, **options)


class Replica:
    """One scheduler of the story."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        chance = story.chance
        self.lease = FakeLease(held=chance.random() < 0.5)
        self.locations = FakeLocations(story.schedule, evaluate=self._evaluate)
        self.bus = DyingBus(story.stage.bus, chance, chance.choice([0, 0.01, 0.05]))

    async def _evaluate(self, schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        if self._story.chance.random() < 0.2:
            raise LocationUnavailableError("bad luck")
        return await one_run(schedule, scheduled_time)

    async def start(self) -> None:
        self.task = await self._story.stage.start(self.locations, self.lease, self.bus)

    async def die(self) -> None:
        self.task.cancel()
        await settle()


class Story:
    """What happens, as a seed tells it."""

    def __init__(self, stage: Stage, seed: int, *, switching: bool) -> None:
        self.stage = stage
        self.chance = random.Random(seed)
        policies = [pb.CATCH_UP_SKIP, pb.CATCH_UP_LATEST, pb.CATCH_UP_ALL]
        self.policy = self.chance.choice(policies)
        self.schedule = a_schedule(cron=CRON, catch_up=self.policy)
        self.replicas: list[Replica] = []
        self.stops: list[tuple[datetime, datetime]] = []
        self._switching = switching
        self._stopped_at: datetime | None = None

    async def tell(self) -> None:
        for _ in range(STEPS):
            await self._something()
            await self.stage.clock.by(seconds=self.chance.choice([1, 30, 61, 300, 600, 1200]))
        await self._end_well()

    async def _something(self) -> None:
        for replica in [one for one in self.replicas if one.bus.dead]:
            await replica.die()
            self.replicas.remove(replica)
        if not self.replicas or (len(self.replicas) < 3 and self.chance.random() < 0.3):
            self.replicas.append(Replica(self))
            await self.replicas[-1].start()
        replica = self.chance.choice(self.replicas)
        what = self.chance.choice(["die", "away", "back", "give", "take", "switch", "jump", "nothing"])
        match what:
            case "die":
                await replica.die()
                self.replicas.remove(replica)
            case "away":
                replica.locations.go_away()
            case "back":
                replica.locations.come_back()
            case "give":
                replica.lease.give()
            case "take":
                replica.lease.take()
            case "switch" if self._switching:
                await self._switch()
            case "jump":
                await self.stage.clock.jump(seconds=self.chance.choice([-30, 45, 700]))

    async def _switch(self) -> None:
        now = self.stage.clock.now()
        if self._stopped_at is None:
            self._stopped_at = now
            await self.stage.switch("stopped")
        else:
            self.stops.append((self._stopped_at, now))
            self._stopped_at = None
            await self.stage.switch("running")

    async def _end_well(self) -> None:
        if self._stopped_at is not None:
            await self._switch()
        for replica in self.replicas:
            await replica.die()
        await self.stage.start(FakeLocations(self.schedule))
        await self.stage.clock.by(hours=1)


async def told(seed: int, *, switching: bool) -> tuple[Story, list, list[str]]:
    async with Stage() as stage:
        story = Story(stage, seed, switching=switching)
        await story.tell()
        return story, await stage.ticks(), [request.key for request in await stage.requests()]


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_tick_is_recorded_once_and_requested_once_through_any_bad_luck(seed):
    story, found, keys = await told(seed, switching=False)
    times = [tick.nominal_time for tick in found]
    assert times == list(ticks_between([CRON], None, after=times[0] - timedelta(seconds=1), through=times[-1]))
    assert story.stage.clock.now() - times[-1] <= timedelta(minutes=10)
    requested = [tick_key(NIGHTLY, tick.nominal_time) for tick in found if isinstance(tick, TickRequested)]
    assert sorted(keys) == sorted(requested)
    if story.policy == pb.CATCH_UP_ALL:
        assert len(requested) == len(found)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_nothing_happens_while_switched_off_and_nothing_twice(seed):
    story, found, keys = await told(seed, switching=True)
    assert len(keys) == len(set(keys))
    times = [tick.nominal_time for tick in found]
    assert all(early < late for early, late in pairwise(times))
    requested = {tick_key(NIGHTLY, tick.nominal_time) for tick in found if isinstance(tick, TickRequested)}
    for off, on in story.stops:
        for nominal in ticks_between([CRON], None, after=off, through=on):
            assert tick_key(NIGHTLY, nominal) not in requested, (off, nominal, on)
