"""One schedule's runner, where replicas and changes meet within one step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_scheduler.cursors import Cursors
from dagwire_scheduler.journal import Journal
from dagwire_scheduler.policy import Policy
from dagwire_scheduler.runner import Runner, Surroundings
from dagwire_scheduler.schedules import schedules_of
from dagwire_shared.errors import BusError
from dagwire_shared.events import TickFailed
from dagwire_shared.records import ScheduleSwitch, cursor_key
from support.codeservers import Evaluate, a_schedule, one_run
from support.scheduling import NIGHTLY, FakeLease, FakeLocations, Stage, in_background, settle

HOURLY = a_schedule(cron="0 * * * *")
ONE = datetime(2026, 1, 1, 13, tzinfo=UTC)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        yield stage


def make(
    stage: Stage, locations: FakeLocations, lease: FakeLease, slots: AbstractAsyncContextManager[None, bool | None]
) -> Runner:
    (schedule,) = schedules_of(locations.location).values()
    journal = Journal(stage.bus.streams, stage.clock, deadline=timedelta(seconds=5))
    around = Surroundings(Cursors(stage.bus.state), journal, locations, lease, stage.clock, Policy())
    runner = Runner(schedule.identity, around, slots)
    runner.define(schedule)
    return runner


@asynccontextmanager
async def running(
    stage: Stage, *, evaluate: Evaluate = one_run, lease: FakeLease | None = None
) -> AsyncIterator[Runner]:
    locations = FakeLocations(HOURLY, evaluate=evaluate)
    (schedule,) = schedules_of(locations.location).values()
    clock = stage.clock
    journal = Journal(stage.bus.streams, clock, deadline=timedelta(seconds=5))
    around = Surroundings(Cursors(stage.bus.state), journal, locations, lease or FakeLease(), clock, Policy())
    runner = Runner(schedule.identity, around, nullcontext())
    runner.define(schedule)
    async with in_background(runner.run()):
        await settle()
        yield runner


def stopped(stage: Stage) -> ScheduleSwitch:
    now = stage.clock.now()
    return ScheduleSwitch(location="code", repository="main", schedule="nightly", status="stopped", by="ada", at=now)


async def test_a_switch_that_comes_together_with_the_answer_wins(stage):
    async def switched_off_meanwhile(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        runner.switch(stopped(stage))
        return await one_run(schedule, scheduled_time)

    async with running(stage, evaluate=switched_off_meanwhile) as runner:
        await stage.clock.to(ONE)
    assert await stage.requests() == []


async def test_a_replica_without_the_lease_leaves_the_first_word_to_the_holder(stage):
    async with running(stage, lease=FakeLease(held=False)):
        await stage.clock.by(seconds=2)
        assert await stage.bus.state.get(cursor_key(NIGHTLY)) is None
        await stage.clock.by(seconds=2)
        assert (await stage.cursor()).active


async def test_a_request_that_the_bus_refuses_for_good_fails_the_tick(stage, monkeypatch):
    async def too_large(*_: object, **__: object) -> object:
        raise BusError("a message of 9000000 bytes is larger than the server allows")

    monkeypatch.setattr(stage.bus.streams, "publish_all", too_large)
    async with running(stage):
        await stage.clock.to(ONE)
    (tick,) = await stage.ticks()
    assert isinstance(tick, TickFailed)
    assert "larger than the server allows" in tick.error.message
    assert (await stage.cursor()).evaluated_through == ONE


async def test_evaluations_wait_for_a_free_slot_and_can_be_called_off_there(stage):
    locations = FakeLocations(HOURLY)
    slots = asyncio.Semaphore(1)
    await slots.acquire()
    runner = make(stage, locations, FakeLease(), slots)
    async with in_background(runner.run()):
        await stage.clock.to(ONE)
        assert locations.evaluations == []
        runner.switch(stopped(stage))
        await settle()
        slots.release()
        await settle()
    assert locations.evaluations == []


async def test_a_runner_ends_when_its_schedule_is_gone(stage):
    runner = make(stage, FakeLocations(HOURLY), FakeLease(), nullcontext())
    task = asyncio.ensure_future(runner.run())
    await settle()
    assert not task.done()
    runner.define(None)
    await settle()
    assert task.done()
    assert not (await stage.cursor()).active
