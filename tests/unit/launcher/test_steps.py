"""What the launcher does about the step workers that runs order: each made once, each end told once, none left."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.endings import Limits
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.stepless import Stepless
from dagwire_launcher.stepname import StepName, StepOrder
from dagwire_launcher.steps import Steps
from dagwire_shared.events import (
    FailureCause,
    RequestedBy,
    RunCanceling,
    RunLaunched,
    RunLost,
    RunStarted,
    RunSucceeded,
    StepWorkerEnded,
    StepWorkerReleased,
    StepWorkerRequested,
    WorkerDelayed,
)
from dagwire_shared.ids import run_id_for
from dagwire_shared.memory import MemoryBroker, MemoryBus
from support.launching import until
from support.launchworld import Crash, Fuse, Fused
from support.stepworld import StepWorld, Teller

pytestmark = pytest.mark.timeout(60)

RUN = run_id_for("steps")
LOAD = StepName(RUN, "load", 1)
BEGUN = (RunLaunched(backend="world", worker="w"), RunStarted(worker="w", host="h", pid=1))
WANTED = StepWorkerRequested(step_key="load")
SHORT = Limits(start=timedelta(seconds=0.2), stop=timedelta(seconds=0.1))


@pytest.fixture
def broker():
    return MemoryBroker()


@pytest.fixture
def world():
    return StepWorld()


@pytest.fixture
async def run(broker):
    teller = Teller(MemoryBus(broker), RUN)
    await teller.say(*BEGUN)
    return teller


@contextlib.asynccontextmanager
async def acting(broker, world, *, limits=None, fuse=None):
    """A launcher that acts."""
    fuse = fuse or Fuse()
    bus = MemoryBus(broker)
    streams = Fused(bus.streams, fuse, ["publish"])
    backend = Fused(world, fuse, ["create", "release", "stop"])
    task = asyncio.create_task(Steps(streams, Ledger(streams), backend, limits or Limits(), at_once=4).run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Crash, BaseExceptionGroup):
            await task


async def until_made(world, name=LOAD):
    await until(lambda: asyncio.sleep(0, name.worker in world.ends), what="the step's worker is created")


async def until_told(run, count=1):
    async def told():
        return len(await run.heard(StepWorkerEnded)) >= count

    await until(told, what="its end is told")
    return await run.heard(StepWorkerEnded)


async def until_released(world, name=LOAD):
    await until(lambda: asyncio.sleep(0, name.worker in world.released), what="the step's worker is released")


async def test_a_step_worker_is_made_as_ordered_and_its_end_is_told(broker, world, run):
    async with acting(broker, world):
        config = [{"resources": {"limits": {"memory": "1Gi"}}}]
        await run.say(StepWorkerRequested(step_key="load", container_config=config))
        await until_made(world)
        assert world.orders[LOAD.worker] == StepOrder(LOAD, tuple(config))
        world.end(LOAD, WorkerEnd(code=0))
        assert await until_told(run) == [StepWorkerEnded(step_key="load", worker=LOAD.worker)]
        await until_released(world)


async def test_a_bad_end_is_told_with_its_cause_and_last_lines(broker, world, run):
    async with acting(broker, world):
        await run.say(WANTED)
        await until_made(world)
        world.end(LOAD, WorkerEnd(signal=9, cause=FailureCause.OUT_OF_MEMORY, reason="It used more than 64Mi."))
        (end,) = await until_told(run)
    assert end.cause is FailureCause.OUT_OF_MEMORY
    assert end.message == "The step's worker was killed by SIGKILL. It used more than 64Mi."
    assert end.output == "output of load"


@pytest.mark.parametrize(
    ("code", "words"),
    [(75, "did not get the step"), (70, "lost its run worker"), (76, "told to end"), (3, "code 3")],
)
async def test_what_an_exit_code_means_is_said_in_words(broker, world, run, code, words):
    async with acting(broker, world):
        await run.say(WANTED)
        await until_made(world)
        world.end(LOAD, WorkerEnd(code=code))
        (end,) = await until_told(run)
    assert words in end.message
    assert end.cause is FailureCause.WORKER_LOST


async def test_an_order_that_is_refused_ends_with_the_refusal(broker, world, run):
    world.refusal = LaunchRefusedError("no such class", cause=FailureCause.QUOTA_EXCEEDED)
    async with acting(broker, world):
        await run.say(WANTED)
        (end,) = await until_told(run)
    assert (end.cause, end.message) == (FailureCause.QUOTA_EXCEEDED, "no such class")


async def test_a_backend_without_step_workers_says_what_to_use(broker, run):
    async with acting(broker, Stepless("docker")):
        await run.say(WANTED)
        (end,) = await until_told(run)
    assert "Give the job multiprocess_executor" in end.message
    assert end.cause is FailureCause.LAUNCH_REFUSED


async def test_a_released_worker_is_told_to_end_and_then_ended(broker, world, run):
    world.obeys = False
    async with acting(broker, world, limits=SHORT):
        await run.say(WANTED)
        await until_made(world)
        await run.say(StepWorkerReleased(step_key="load"))
        await until_told(run)
    assert world.stops == [(LOAD.worker, False), (LOAD.worker, True)]


async def test_a_worker_that_is_released_before_it_was_made_is_not_made(broker, world, run):
    await run.say(WANTED, StepWorkerReleased(step_key="load"))
    async with acting(broker, world):
        await until_told(run)
    assert not world.created


@pytest.mark.parametrize(
    "end", [RunSucceeded(seconds=1), RunLost(cause=FailureCause.WORKER_LOST, message="gone")], ids=lambda one: one.TYPE
)
async def test_the_workers_of_a_run_that_has_ended_are_ended_without_a_word(broker, world, run, end):
    async with acting(broker, world):
        await run.say(WANTED)
        await until_made(world)
        await run.say(end)
        await until_released(world)
    assert world.stops == [(LOAD.worker, True)]
    assert not await run.heard(StepWorkerEnded)


async def test_a_run_that_is_being_canceled_sees_to_its_steps_itself(broker, world, run):
    async with acting(broker, world):
        await run.say(WANTED)
        await until_made(world)
        await run.say(RunCanceling(requested_by=RequestedBy(kind="ui")))
        await run.say(StepWorkerRequested(step_key="more"))
        await until_made(world, StepName(RUN, "more", 1))
    assert not world.stops


async def test_orders_of_a_run_that_has_ended_are_not_carried_out(broker, world, run):
    await run.say(WANTED, RunLost(cause=FailureCause.WORKER_LOST, message="gone"), StepWorkerRequested(step_key="late"))
    other = Teller(MemoryBus(broker), run_id_for("other"))
    async with acting(broker, world):
        await other.say(WANTED)
        await until_made(world, StepName(other.run_id, "load", 1))
    assert world.created.keys() == {StepName(other.run_id, "load", 1).worker}


async def test_config_that_speaks_of_ends_ends_nothing(broker, world, run):
    other = Teller(MemoryBus(broker), run_id_for("talks"))
    await other.say(RunLaunched(backend="dagwire.run.failed", worker="dagwire.run.lost"), WANTED)
    async with acting(broker, world):
        await until_made(world, StepName(other.run_id, "load", 1))


async def test_what_delays_a_worker_is_told_and_fails_it_when_it_takes_too_long(broker, world, run):
    async with acting(broker, world, limits=SHORT):
        await run.say(WANTED)
        await until(lambda: asyncio.sleep(0, LOAD.worker in world.listeners), what="it is watched")
        world.listeners[LOAD.worker](WorkerDelay(FailureCause.IMAGE_UNAVAILABLE, "No such image."))
        (end,) = await until_told(run)
    (delay,) = await run.heard(WorkerDelayed)
    assert (delay.step_key, delay.cause) == ("load", FailureCause.IMAGE_UNAVAILABLE)
    assert end.cause is FailureCause.IMAGE_UNAVAILABLE
    assert end.message == "The step's worker did not start within 0.2 seconds and was ended. No such image."
    assert world.stops[-1] == (LOAD.worker, True)


async def test_a_delay_that_passes_is_forgotten(broker, world, run):
    async with acting(broker, world, limits=SHORT):
        await run.say(WANTED)
        await until(lambda: asyncio.sleep(0, LOAD.worker in world.listeners), what="it is watched")
        world.listeners[LOAD.worker](WorkerDelay(FailureCause.UNSCHEDULABLE, "No room."))
        world.listeners[LOAD.worker](None)
        await asyncio.sleep(0.3)  # longer than it may be delayed
        assert not world.stops
        world.end(LOAD, WorkerEnd(code=0))
        assert (await until_told(run))[0].cause is None


async def test_who_asks_again_for_a_living_worker_gets_no_second_one(broker, world, run):
    async with acting(broker, world):
        await run.say(WANTED)
        await until_made(world)
        await run.say(WANTED)
        world.end(LOAD, WorkerEnd(code=0))
        await until_told(run)
    assert world.created[LOAD.worker] == 1


async def test_who_asks_again_for_an_ended_worker_is_told_again_and_gets_no_second_one(broker, world, run):
    async with acting(broker, world):
        await run.say(WANTED)
        await until_made(world)
        world.end(LOAD, WorkerEnd(code=3))
        await until_told(run)
        await run.say(WANTED)
        first, second = await until_told(run, 2)
    assert (first.cause, first.message) == (second.cause, second.message)
    assert world.created[LOAD.worker] == 1


async def test_another_attempt_is_another_worker(broker, world, run):
    async with acting(broker, world):
        await run.say(WANTED, StepWorkerRequested(step_key="load", attempt=2))
        await until_made(world, StepName(RUN, "load", 2))
    assert len(world.created) == 2


async def test_names_are_short_whatever_the_step_is_called():
    name = StepName(RUN, ".".join(["a" * 63] * 16), 1)
    assert len(name.worker) == 45
    assert len({one.worker for one in (name, StepName(RUN, "a", 1), StepName(RUN, "a", 2), LOAD)}) == 4


async def test_workers_that_another_launcher_left_of_ended_runs_are_ended(broker, world, run):
    stray = StepName(RUN, "stray", 1)
    await world.create(StepOrder(stray))
    await run.say(RunLost(cause=FailureCause.WORKER_LOST, message="gone"))
    open_run = StepName(run_id_for("open"), "load", 1)
    await world.create(StepOrder(open_run))  # its order is forgotten by now: it is left alone
    async with acting(broker, world):
        await until_released(world, stray)
    assert world.stops == [(stray.worker, True)]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after, its answer lost"])
@pytest.mark.parametrize("ends", [WorkerEnd(code=0), WorkerEnd(signal=9)], ids=["well", "badly"])
async def test_a_step_has_one_worker_and_one_end_wherever_the_launcher_dies(after, ends):
    for effect in range(1, 20):
        broker, world = MemoryBroker(), StepWorld()
        run = Teller(MemoryBus(broker), RUN)
        await run.say(*BEGUN, WANTED)
        fuse = Fuse(effect, after=after)
        async with acting(broker, world, fuse=fuse):
            crash = asyncio.create_task(fuse.gone.wait())
            whole = asyncio.create_task(_played(world, run, ends))
            await asyncio.wait({crash, whole}, return_when=asyncio.FIRST_COMPLETED)
            did_crash = fuse.gone.is_set()
            for one in (crash, whole):
                one.cancel()
        if did_crash:
            async with acting(broker, world):
                await _played(world, run, ends)
        assert world.created == {LOAD.worker: 1}
        assert len(await run.heard(StepWorkerEnded)) == 1
        if not did_crash:
            assert effect > 2
            return
    raise AssertionError("the launcher never came to an end")


async def _played(world, run, end):
    await until_made(world)
    world.end(LOAD, end)
    await until_told(run)
    await until_released(world)


async def test_a_step_whose_end_was_told_is_left_alone_by_the_next_launcher(broker, world, run):
    await run.say(WANTED, StepWorkerEnded(step_key="load", worker=LOAD.worker), StepWorkerRequested(step_key="next"))
    async with acting(broker, world):
        await until_made(world, StepName(RUN, "next", 1))
    assert LOAD.worker not in world.created
