"""The launcher is gone between any two effects, or after an effect whose answer it never saw; the next one goes on."""

import asyncio
import contextlib

import pytest
from dagwire_launcher.backend import WorkerEnd
from support.launching import cancel_run, request_run, until
from support.launchworld import Crash, Fuse, World, a_launcher, is_queued, know_here, policy, running, said_of

RULES = policy(patience=0)
BEFORE_AND_AFTER = pytest.mark.parametrize("after", [False, True], ids=["before", "after, its answer lost"])

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
async def _quiet_crashes():
    """Keep asyncio from telling of tasks that a crash ended: a dead process tells nothing either."""

    def tell_others(loop, context):
        if not isinstance(context.get("exception"), Crash | BaseExceptionGroup):
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(tell_others)


async def crashed(world, fuse):
    """Run a launcher until it crashes, or has nothing more to do; True: it crashed."""
    tasks = [
        asyncio.create_task(a_launcher(world, fuse=fuse, rules=RULES).run()),
        asyncio.create_task(_settled(world)),
        asyncio.create_task(fuse.gone.wait()),
    ]
    try:
        await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
        return fuse.gone.is_set()
    finally:
        for one in tasks:
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError, Crash, BaseExceptionGroup):
                await one


async def _settled(world):
    await until(lambda: _is_settled(world), what="the launcher has nothing more to do")


async def _is_settled(world):
    durable = world.broker.logs["DAGWIRE_REQUESTS"].durables.get("launcher")
    requests = world.broker.logs["DAGWIRE_REQUESTS"]
    admitted = durable is not None and durable.cursor == requests.last_sequence and not durable.held
    return admitted and not world.broker.logs["DAGWIRE_QUEUE"].messages and world.released >= set(world.workers)


async def crash_everywhere(scenario, check, *, after):
    """Play a scenario once per effect, crash there, let a second launcher finish, and check."""
    for effect in range(1, 100):
        world = World()
        try:
            await know_here(world.bus)
            run_id = await scenario(world)
            did_crash = await crashed(world, Fuse(effect, after=after))
            if did_crash:
                async with running(a_launcher(world, rules=RULES)):
                    await _settled(world)
            await check(world, run_id)
        finally:
            await world.close()
        if not did_crash:
            return effect
    raise AssertionError("the launcher never came to an end")


@BEFORE_AND_AFTER
async def test_a_request_gets_one_worker_wherever_the_launcher_dies(after):
    async def check(world, run_id):
        types = [one.type for one in await said_of(world.bus, run_id)]
        assert world.created[run_id] == 1
        assert sorted(types) == [
            "dagwire.run.launched",
            "dagwire.run.queued",
            "dagwire.run.started",
            "dagwire.run.succeeded",
        ]
        assert not await is_queued(world.bus, run_id)

    effects = await crash_everywhere(lambda world: request_run(world.bus, "one"), check, after=after)
    assert effects > 6


@BEFORE_AND_AFTER
async def test_a_run_without_a_code_location_is_lost_once_wherever_the_launcher_dies(after):
    async def check(world, run_id):
        types = [one.type for one in await said_of(world.bus, run_id)]
        assert not world.created
        assert types == ["dagwire.run.queued", "dagwire.run.lost"]

    async def scenario(world):
        return await request_run(world.bus, "one", location="nowhere")

    await crash_everywhere(scenario, check, after=after)


@BEFORE_AND_AFTER
async def test_a_run_that_is_canceled_before_its_launch_is_dropped_once_wherever_the_launcher_dies(after):
    async def check(world, run_id):
        types = [one.type for one in await said_of(world.bus, run_id)]
        assert not world.created
        assert types == ["dagwire.run.queued", "dagwire.run.dropped"]

    async def scenario(world):
        run_id = await request_run(world.bus, "one")
        await cancel_run(world.bus, run_id)
        return run_id

    await crash_everywhere(scenario, check, after=after)


@BEFORE_AND_AFTER
async def test_a_lost_worker_is_told_once_wherever_the_launcher_dies(after):
    async def check(world, run_id):
        types = [one.type for one in await said_of(world.bus, run_id)]
        assert world.created[run_id] == 1
        assert types.count("dagwire.run.lost") == 1

    async def scenario(world):
        async def die(run_id):
            return WorkerEnd(signal=9, pid=1)

        world.play = die
        return await request_run(world.bus, "one")

    await crash_everywhere(scenario, check, after=after)
