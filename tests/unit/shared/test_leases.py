"""Who holds a lease, and when it passes on."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.leases import LeaseKeeper, Observation, seconds_of_trust, seconds_until_free
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.records import lease_key

SHORT = timedelta(seconds=0.3)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


def keeper(broker: MemoryBroker, holder: str, duration: timedelta = SHORT) -> LeaseKeeper:
    return LeaseKeeper(MemoryBus(broker).state, "launcher", holder=holder, duration=duration)


def test_a_lease_that_nobody_holds_is_free():
    assert seconds_until_free(Observation(), holder="me", duration=9, now=100) == 0


def test_a_lease_of_another_is_free_once_no_renewal_was_seen_for_its_duration():
    seen = Observation(revision=7, holder="other", since=100)

    assert seconds_until_free(seen, holder="me", duration=9, now=103) == 6
    assert seconds_until_free(seen, holder="me", duration=9, now=109) == 0
    assert seconds_until_free(seen, holder="me", duration=9, now=500) == 0


def test_a_lease_under_the_own_name_is_free():
    assert seconds_until_free(Observation(7, "me", 100), holder="me", duration=9, now=101) == 0


def test_a_holder_stops_before_another_may_begin():
    confirmed = 100.0

    assert seconds_of_trust(confirmed=confirmed, duration=9, now=102) == 4
    assert seconds_of_trust(confirmed=confirmed, duration=9, now=106) == 0
    # The other saw the renewal at or after `confirmed`, so it waits until 109 at least.
    assert seconds_until_free(Observation(7, "me", confirmed), holder="other", duration=9, now=106) == 3


async def test_the_first_gains_the_lease_and_the_second_waits(broker: MemoryBroker):
    async with asyncio.timeout(10), keeper(broker, "one") as one, keeper(broker, "two") as two:
        await one.until_gained()
        await asyncio.wait([asyncio.ensure_future(two.until_gained())], timeout=3 * SHORT.total_seconds())

        assert (one.held, two.held) == (True, False)


async def test_a_released_lease_passes_on_at_once(broker: MemoryBroker):
    long = timedelta(seconds=60)
    async with asyncio.timeout(10), keeper(broker, "two", long) as two:
        async with keeper(broker, "one", long) as one:
            await asyncio.wait(
                [asyncio.ensure_future(one.until_gained()), asyncio.ensure_future(two.until_gained())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            first = one if one.held else two
        if first is one:
            await two.until_gained()
        assert two.held


async def test_a_lease_that_is_not_renewed_passes_on(broker: MemoryBroker):
    frozen = MemoryBus(broker)
    await frozen.state.put(lease_key("launcher"), b'{"holder": "dead", "renewed_at": "2099-01-01T00:00:00Z"}')
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with asyncio.timeout(10), keeper(broker, "heir") as heir:
        await heir.until_gained()

    assert loop.time() - began >= SHORT.total_seconds()


async def test_a_record_that_is_no_lease_does_not_block_the_role(broker: MemoryBroker):
    await MemoryBus(broker).state.put(lease_key("launcher"), b"rubbish")

    async with asyncio.timeout(10), keeper(broker, "me") as me:
        await me.until_gained()


async def test_a_holder_that_cannot_renew_stops_before_its_lease_ends(broker: MemoryBroker):
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10), keeper(broker, "me") as me:
        await me.until_gained()
        broker.online = False
        began = loop.time()
        await me.until_lost()
        assert loop.time() - began <= SHORT.total_seconds()
        broker.online = True
        await me.until_gained()


async def test_a_holder_whose_lease_was_taken_stops(broker: MemoryBroker):
    thief = MemoryBus(broker)
    async with asyncio.timeout(10), keeper(broker, "me") as me:
        await me.until_gained()
        await thief.state.put(lease_key("launcher"), b'{"holder": "thief", "renewed_at": "2026-01-01T00:00:00Z"}')
        await me.until_lost()
        assert not me.held


async def test_never_two_hold_a_lease_at_once(broker: MemoryBroker):
    holding: set[str] = set()
    most = 0

    async def act(name: str) -> None:
        nonlocal most
        async with keeper(broker, name) as mine:
            for _ in range(3):
                await mine.until_gained()
                holding.add(name)
                most = max(most, len(holding))
                if mine.held:
                    broker.online = False
                await mine.until_lost()
                holding.discard(name)
                broker.online = True

    async with asyncio.timeout(30):
        done, pending = await asyncio.wait(
            [asyncio.create_task(act(name)) for name in ("one", "two", "three")], return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for task in done:
            task.result()

    assert most == 1


async def test_work_runs_while_the_lease_is_held_and_again_when_it_comes_back(broker: MemoryBroker):
    terms: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        terms.append("begun")
        begun.set()
        try:
            if len(terms) < 3:
                await asyncio.sleep(60)
        finally:
            terms.append("ended")

    async with asyncio.timeout(10), keeper(broker, "me") as me:
        acting = asyncio.create_task(me.run_while_held(work))
        await begun.wait()
        broker.online = False
        await me.until_lost()
        broker.online = True
        await acting

    assert terms == ["begun", "ended", "begun", "ended"]


async def test_work_that_fails_is_heard(broker: MemoryBroker):
    async def work() -> None:
        raise BusUnavailableError("gone")

    async with asyncio.timeout(10), keeper(broker, "me") as me:
        with pytest.raises(BusUnavailableError, match="gone"):
            await me.run_while_held(work)
