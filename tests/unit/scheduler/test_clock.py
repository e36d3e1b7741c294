"""The system's clock: waits end on time, and jumps of the wall clock are noticed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_scheduler import clock as clock_module
from dagwire_scheduler.clock import SystemClock
from dagwire_scheduler.skew import ahead, compare
from dagwire_shared.memory import MemoryBroker, MemoryBus
from support.scheduling import in_background

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def later(**duration: float) -> datetime:
    return NOON + timedelta(**duration)


async def test_a_wait_ends_at_its_time():
    clock = SystemClock()
    until = clock.now() + timedelta(milliseconds=30)
    await clock.wait(asyncio.Event(), until)
    assert timedelta(milliseconds=-2) < clock.now() - until < timedelta(seconds=2)


async def test_a_wait_ends_with_its_event():
    clock, event = SystemClock(), asyncio.Event()
    waiting = asyncio.ensure_future(clock.wait(event, clock.now() + timedelta(hours=1)))
    await asyncio.sleep(0)
    event.set()
    async with asyncio.timeout(5):
        await waiting


async def test_a_time_that_is_past_is_not_waited_for():
    await SystemClock().wait(asyncio.Event(), NOON)


async def test_listeners_hear_of_a_jump_of_the_wall_clock(monkeypatch):
    monkeypatch.setattr(clock_module, "LOOK_SECONDS", 0.001)
    jump, heard = timedelta(), asyncio.Event()
    clock = SystemClock(wall=lambda: NOON + jump, monotonic=lambda: 1000.0)
    clock.listeners.add(heard.set)
    async with in_background(clock.run()):
        await asyncio.sleep(0.02)
        assert not heard.is_set()
        jump = timedelta(hours=-1)
        async with asyncio.timeout(5):
            await heard.wait()


async def test_a_slow_drift_is_noticed_when_it_adds_up(monkeypatch):
    monkeypatch.setattr(clock_module, "LOOK_SECONDS", 0.001)
    looks, heard = 0, asyncio.Event()

    def monotonic() -> float:
        nonlocal looks
        looks += 1
        return 1000.0 + looks * 0.01

    clock = SystemClock(wall=lambda: NOON, monotonic=monotonic)
    clock.listeners.add(heard.set)
    async with in_background(clock.run()), asyncio.timeout(5):
        await heard.wait()


def test_what_the_clock_is_ahead_is_taken_off_and_told():
    clock, told = SystemClock(wall=lambda: NOON), []
    clock.listeners.add(lambda: told.append(clock.now()))
    clock.lead = timedelta(minutes=10)
    clock.lead = timedelta(minutes=10)
    assert told == [later(minutes=-10)]


@pytest.mark.parametrize(
    ("written", "stored", "read", "lead"),
    [(0, 1, 2, 0), (0, 0, 0, 0), (10, 4, 11, 6), (0, 9, 3, -6), (0, 20, 30, 0)],
)
def test_clocks_differ_for_certain_only_outside_of_writing_and_reading(written, stored, read, lead):
    found = ahead(written=later(seconds=written), stored=later(seconds=stored), read=later(seconds=read))
    assert found == timedelta(seconds=lead)


@pytest.mark.parametrize(
    ("off", "lead", "says"),
    [
        (timedelta(), timedelta(), ""),
        (timedelta(seconds=1), timedelta(), ""),
        (timedelta(minutes=10), timedelta(minutes=10), "ahead of"),
        (timedelta(minutes=-10), timedelta(), "behind"),
    ],
)
async def test_a_clock_that_is_ahead_is_held_back_and_one_behind_is_told_of(off, lead, says, caplog):
    state = MemoryBus(MemoryBroker(now=lambda: NOON)).state
    clock = SystemClock(wall=lambda: NOON + off)
    await compare(state, clock, now=lambda: NOON + off)
    assert clock.lead == lead
    assert says in caplog.text
    assert bool(says) == ("clock is wrong" in caplog.text)
