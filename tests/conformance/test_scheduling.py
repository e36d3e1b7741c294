"""Exactly-once scheduling over both buses: one request per tick, whatever dies, and whoever believes to act."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_scheduler.policy import Policy
from dagwire_scheduler.service import Scheduler
from dagwire_shared.bus import Bus
from dagwire_shared.events import TickRequested, TickSkipped
from dagwire_shared.ids import run_id_for, tick_key
from support.codeservers import a_schedule
from support.scheduling import (
    NIGHTLY,
    CrashingBus,
    FakeLease,
    FakeLocations,
    VirtualClock,
    in_background,
    requests,
    switch,
    switchings,
    through,
    ticks,
    until_cursor,
)

HOURLY = a_schedule(cron="0 * * * *")


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, minute, tzinfo=UTC)


class Schedulers:
    """Schedulers on a clock that the test moves."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.clock = VirtualClock()
        self._stack = stack

    async def start(self, bus: Bus, locations: FakeLocations, *, held: bool = True) -> asyncio.Task[None]:
        scheduler = Scheduler(bus, locations, lease=FakeLease(held=held), clock=self.clock, policy=Policy())
        return await self._stack.enter_async_context(in_background(scheduler.run()))


@pytest.fixture
async def schedulers() -> AsyncIterator[Schedulers]:
    async with AsyncExitStack() as stack:
        yield Schedulers(stack)


async def test_two_replicas_that_both_act_request_each_tick_once(bus, other, schedulers):
    for connection in (bus, other):
        await schedulers.start(connection, FakeLocations(HOURLY))
    await until_cursor(bus, through(at(12, 30)))
    for hour in range(13, 18):
        await schedulers.clock.to(at(hour))
        await until_cursor(bus, through(at(hour)))
    assert [tick.nominal_time for tick in await ticks(bus)] == [at(hour) for hour in range(13, 18)]
    keys = [tick_key(NIGHTLY, at(hour)) for hour in range(13, 18)]
    assert [request.key for request in await requests(bus)] == keys
    assert [tick.run_ids for tick in await ticks(bus)] == [[run_id_for(key)] for key in keys]


@pytest.mark.parametrize("kept", ["begun", "request", "event"])
@pytest.mark.parametrize("down", [timedelta(seconds=1), timedelta(minutes=50)], ids=["short", "long"])
async def test_a_crash_between_any_two_writes_makes_one_request(bus, other, schedulers, kept, down):
    schedule = a_schedule(cron="0 * * * *", catch_up=pb.CATCH_UP_SKIP)
    steps = ["nothing", "begun", "request", "event"]
    crashing = CrashingBus(other, schedulers.clock, at=at(13), after=steps.index(kept))
    task = await schedulers.start(crashing, FakeLocations(schedule))
    await until_cursor(bus, through(at(12, 30)))
    await schedulers.clock.to(at(13))
    await asyncio.wait_for(crashing.hanging.wait(), 30)
    task.cancel()
    await schedulers.clock.by(seconds=down.total_seconds())
    await schedulers.start(bus, FakeLocations(schedule))
    await until_cursor(bus, through(at(13)))
    assert [request.key for request in await requests(bus)] == [tick_key(NIGHTLY, at(13))]
    assert [tick.nominal_time for tick in await ticks(bus)] == [at(13)]


@pytest.mark.parametrize(
    ("policy", "fired"), [(pb.CATCH_UP_SKIP, []), (pb.CATCH_UP_LATEST, [18]), (pb.CATCH_UP_ALL, [14, 15, 16, 17, 18])]
)
async def test_a_down_time_of_hours_is_caught_up_with_as_the_policy_says(bus, other, schedulers, policy, fired):
    schedule = a_schedule(cron="0 * * * *", catch_up=policy)
    task = await schedulers.start(other, FakeLocations(schedule))
    await until_cursor(bus, through(at(12, 30)))
    await schedulers.clock.to(at(13))
    await until_cursor(bus, through(at(13)))
    task.cancel()
    await schedulers.clock.to(at(18, 30))
    await schedulers.start(bus, FakeLocations(schedule))
    await until_cursor(bus, through(at(18)))
    found = await ticks(bus)
    assert [tick.nominal_time for tick in found] == [at(hour) for hour in range(13, 19)]
    assert [tick.nominal_time.hour for tick in found if isinstance(tick, TickRequested)] == [13, *fired]
    assert all(tick.missed for tick in found if isinstance(tick, TickSkipped))
    assert len(await requests(bus)) == 1 + len(fired)


async def test_a_switch_takes_effect_at_once_and_is_recorded_once(bus, other, schedulers):
    for connection, held in ((bus, True), (other, False)):
        await schedulers.start(
            connection, FakeLocations(a_schedule(cron="0 * * * *", catch_up=pb.CATCH_UP_ALL)), held=held
        )
    await until_cursor(bus, through(at(12, 30)))
    await schedulers.clock.to(at(13))
    await until_cursor(bus, through(at(13)))
    await switch(other, "stopped", at=schedulers.clock.now())
    await until_cursor(bus, lambda cursor: not cursor.active)
    await schedulers.clock.to(at(15, 30))
    await switch(other, "running", at=schedulers.clock.now())
    await until_cursor(bus, lambda cursor: cursor.active and through(at(15, 30))(cursor))
    await schedulers.clock.to(at(16))
    await until_cursor(bus, through(at(16)))
    assert [tick.nominal_time for tick in await ticks(bus)] == [at(13), at(16)]
    assert [one.status for one in await switchings(bus)] == ["stopped", "running"]
