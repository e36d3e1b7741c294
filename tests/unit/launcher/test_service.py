"""The launcher as a whole, on a bus in memory."""

import asyncio
import contextlib
from datetime import timedelta
from itertools import pairwise

import pytest
from dagwire_launcher.admission import queued
from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.intake import Intake
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.locations import Locations
from dagwire_shared.bus import Message
from dagwire_shared.events import FailureCause, RunCanceled, RunStarted
from dagwire_shared.ids import run_id_for
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.model import utc_now
from dagwire_shared.streams import DEAD, QUEUE
from dagwire_shared.subjects import KNOWN_QUESTION, control_subject, queue_subject, request_subject
from support.buses import read_to_end
from support.launching import a_request, cancel_run, launch_body, request_message, request_run, serve, until, until_said
from support.launchworld import HERE, World, a_launcher, is_queued, know_here, policy, running, said_of

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def world():
    world = World()
    await know_here(world.bus)
    yield world
    await world.close()


async def types(world, run_id):
    return [one.type.removeprefix("dagwire.run.") for one in await said_of(world.bus, run_id)]


async def until_type(world, run_id, word):
    await until_said(world.bus, run_id, f"dagwire.run.{word}")


async def until_released(world, run_id):
    async def released():
        return run_id in world.released

    await until(released, what=f"{run_id} is released")


# --- requests -------------------------------------------------------------------------------------------------------


async def test_a_hundred_duplicates_make_one_run(world):
    async with running(a_launcher(world)), running(a_launcher(world, name="b")):
        for number in range(100):
            await world.bus.streams.publish(request_message(a_request("same"), message_id=f"try {number}"))
        run_id = await request_run(world.bus, "same")
        await until_released(world, run_id)
    assert world.created[run_id] == 1
    assert sorted(await types(world, run_id)) == ["launched", "queued", "started", "succeeded"]


async def test_a_request_that_cannot_be_read_is_kept_with_its_cause_and_stops_nobody(world):
    await world.bus.streams.publish(Message(request_subject("bad"), b"{}", "bad"))
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "good")
        await until_type(world, run_id, "succeeded")
    (dead,) = await read_to_end(world.bus, DEAD)
    assert dead.body == b"{}"
    assert dead.subject == "dagwire.v1.dead.DAGWIRE_REQUESTS"
    assert "envelope" in dead.headers["Dagwire-Cause"]
    assert dead.headers["Dagwire-Subject"] == request_subject("bad")


async def test_the_code_version_of_the_location_is_part_of_the_run(world):
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "origin")
        await until_type(world, run_id, "queued")
    (queued, *_) = await said_of(world.bus, run_id)
    assert queued.data["origin"]["definitions_hash"] == "abc"


async def test_a_run_gets_the_code_that_was_served_when_it_was_admitted(world):
    before = HERE.model_copy(
        update={"image": "team/etl:1", "container_configs": {"main": {"one_op": {"env": [{"name": "A"}]}}}}
    )
    await serve(world.bus, before)
    async with running(a_launcher(world, rules=policy(max_concurrent_runs=0))):
        run_id = await request_run(world.bus, "pinned", repository="main")
        await until_type(world, run_id, "queued")
        await until(lambda: is_queued(world.bus, run_id), what="it waits")
    await serve(world.bus, HERE.model_copy(update={"image": "team/etl:2"}))
    async with running(a_launcher(world)):
        await until_released(world, run_id)
    assert world.orders[run_id].code.image == "team/etl:1"
    assert world.orders[run_id].code.container_config == {"env": [{"name": "A"}]}


async def test_a_run_that_an_older_launcher_put_on_the_queue_gets_the_code_that_is_served_now(world):
    await serve(world.bus, HERE.model_copy(update={"image": "team/etl:2", "container_context": {"k8s": {}}}))
    request = a_request("old order")
    run_id = run_id_for(request.key)
    await Ledger(world.bus.streams).say(run_id, queued(request), after=0)
    await world.bus.streams.publish(Message(queue_subject(run_id), launch_body(request), f"{run_id}:launch"))
    async with running(a_launcher(world)):
        await until_released(world, run_id)
    assert world.orders[run_id].code.image == "team/etl:2"
    assert world.orders[run_id].code.container_context == {"k8s": {}}


async def test_a_run_waits_a_while_for_its_code_location(world):
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "patient", location="later")
        await until_type(world, run_id, "queued")
        entry = await world.bus.state.get("location.here")
        await world.bus.state.put("location.later", entry.value.replace(b'"here"', b'"later"'))
        await until_type(world, run_id, "succeeded")


async def test_a_run_whose_code_location_never_comes_is_lost(world):
    async with running(a_launcher(world, rules=policy(patience=0))):
        run_id = await request_run(world.bus, "nowhere", location="nowhere")
        events = await until_said(world.bus, run_id)
    assert events[-1].data["cause"] == "code_location_unknown"
    assert not world.created


OLD = "2020-01-01T00:00:00Z"


@contextlib.asynccontextmanager
async def store_says(bus, answer, asked=None):
    async def handler(body):
        if asked is not None:
            asked.append(body.decode())
        return answer

    async with bus.signals.serve(KNOWN_QUESTION, handler, group="test"):
        yield


async def test_an_old_key_that_the_store_knows_makes_no_second_run(world):
    asked = []
    async with store_says(world.bus, b"1", asked), running(a_launcher(world)):
        run_id = await request_run(world.bus, "old", key_time=OLD)
        other = await request_run(world.bus, "young")
        await until_type(world, other, "succeeded")
    assert asked == [run_id]
    assert await types(world, run_id) == []


async def test_an_old_key_that_the_store_does_not_know_makes_a_run(world):
    async with store_says(world.bus, b"0"), running(a_launcher(world)):
        run_id = await request_run(world.bus, "old", key_time=OLD)
        await until_type(world, run_id, "succeeded")


async def test_an_old_key_waits_for_the_store_and_holds_nobody_up(world, monkeypatch):
    monkeypatch.setattr("dagwire_launcher.intake._WITNESS_WAIT", timedelta(seconds=0.05))
    monkeypatch.setattr("dagwire_launcher.intake._AGAIN_LATER", timedelta(seconds=0.05))
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "old", key_time=OLD)
        other = await request_run(world.bus, "young")
        await until_type(world, other, "succeeded")
        assert await types(world, run_id) == []
        async with store_says(world.bus, b"0"):
            await until_type(world, run_id, "succeeded")


async def test_an_old_key_whose_admission_was_broken_off_is_not_taken_for_a_known_one(world):
    # Recorded, and known to the store by now; but the queue never had it.
    ledger, locations = Ledger(world.bus.streams), Locations(world.bus.state)
    run_id = await request_run(world.bus, "old", key_time=OLD)

    await ledger.say(run_id, queued(a_request("old", key_time=OLD)), after=0)
    intake = Intake(world.bus, ledger, locations, patience=timedelta(seconds=20))
    async with store_says(world.bus, b"1"):
        task = asyncio.create_task(intake.run())
        await until(lambda: is_queued(world.bus, run_id), what="the run is on the queue")
        task.cancel()


# --- the queue ------------------------------------------------------------------------------------------------------


async def test_no_more_runs_than_the_limit_have_a_worker_and_the_most_urgent_come_first(world, monkeypatch):
    monkeypatch.setattr("dagwire_shared.memory.streams.BATCH", 1)
    order = []
    gates = {}

    async def play(run_id):
        order.append(run_id)
        gates[run_id] = asyncio.Event()
        await gates[run_id].wait()
        return await world.succeed(run_id)

    world.play = play
    priorities = [0, 0, 5, -1, 5]
    runs = [
        await request_run(world.bus, f"run {number}", tags={"dagwire/priority": str(priority)})
        for number, priority in enumerate(priorities)
    ]
    held = a_launcher(world, rules=policy(max_concurrent_runs=0))
    async with running(held):
        for run_id in runs:
            await until(lambda run_id=run_id: is_queued(world.bus, run_id), what="queued")
    async with running(a_launcher(world, rules=policy(max_concurrent_runs=2))):
        for number in range(5):

            async def begun(number=number):
                return len(order) == min(5, number + 2)

            await until(begun, what=f"{number + 2} runs have begun")
            living = [run_id for run_id in order if not world.ends[run_id].done()]
            assert len(living) <= 2
            gates[order[number]].set()
        for run_id in runs:
            await until_type(world, run_id, "succeeded")
    assert order == [runs[number] for number in (2, 4, 0, 1, 3)]


async def test_a_run_that_the_backend_refuses_is_lost_with_its_reason(world):
    world.refuse = "quota exceeded"
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "refused")
        events = await until_said(world.bus, run_id)
        await until(lambda: _empty(world), what="the queue is empty")
    assert events[-1].data["cause"] == "launch_refused"
    assert events[-1].data["message"] == "quota exceeded"


async def test_a_run_is_told_why_no_worker_can_be_created_now_and_starts_when_one_can(world):
    world.away = "the cluster does not answer"
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "away")
        events = await until_said(world.bus, run_id, "dagwire.worker.delayed")
        world.away = None
        await until_said(world.bus, run_id)
    assert events[-1].data["cause"] == "launch_refused"
    assert "the cluster does not answer" in events[-1].data["message"]
    assert world.asked[run_id] >= 3


async def test_more_waiting_runs_than_are_launched_at_once_all_get_their_worker(world):
    async with running(a_launcher(world, rules=policy(max_concurrent_runs=50))):
        runs = [await request_run(world.bus, f"many {number}") for number in range(20)]
        for run_id in runs:
            await until_said(world.bus, run_id)


async def test_what_keeps_a_worker_from_running_is_told_once_per_change(world):
    pulling = WorkerDelay(FailureCause.IMAGE_UNAVAILABLE, "no such image")
    world.delays = [pulling, WorkerDelay(FailureCause.UNSCHEDULABLE, "no room")]
    world.play = world.sleep
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "delayed")
        await until_said(world.bus, run_id, lambda one: one.data.get("message") == "no room")
    async with running(a_launcher(world, name="b")):
        await until_said(world.bus, run_id, "dagwire.worker.delayed")
    told = [one.data["cause"] for one in await said_of(world.bus, run_id) if one.type == "dagwire.worker.delayed"]
    assert told[-1] == "unschedulable"
    assert told == [cause for before, cause in pairwise([None, *told]) if cause != before]


async def test_a_worker_that_is_kept_from_starting_loses_its_run_with_the_reason(world):
    world.delays = [WorkerDelay(FailureCause.IMAGE_UNAVAILABLE, "no such image")]
    world.play = world.sleep
    async with running(a_launcher(world, rules=policy(start=0.2))):
        run_id = await request_run(world.bus, "no image")
        events = await until_said(world.bus, run_id)
    assert events[-1].data["cause"] == "image_unavailable"
    assert "no such image" in events[-1].data["message"]
    assert events[-1].data["output"] == f"last words of {run_id}"


async def _empty(world):
    return not world.broker.logs[QUEUE.name].messages


async def test_a_queue_message_that_is_none_is_kept_as_a_dead_letter(world):
    run_id = await request_run(world.bus, "good")
    await world.bus.streams.publish(Message(queue_subject(run_id), b"no", "no"))
    async with running(a_launcher(world)):
        await until(lambda: _empty(world), what="the queue is empty")
    (dead,) = await read_to_end(world.bus, DEAD)
    assert dead.subject == "dagwire.v1.dead.DAGWIRE_QUEUE"


async def test_a_run_that_waited_until_the_stream_forgot_it_is_recorded_again_and_launched(world):
    request = a_request("forgotten")
    body = launch_body(request)

    run_id = run_id_for("forgotten")
    await world.bus.streams.publish(Message(queue_subject(run_id), body, "m"))
    async with running(a_launcher(world)):
        await until_type(world, run_id, "succeeded")
    assert (await types(world, run_id))[0] == "queued"


async def test_two_launchers_that_both_act_give_a_run_one_worker(world):
    runs = [await request_run(world.bus, f"run {number}") for number in range(20)]
    one, two = a_launcher(world, name="a"), a_launcher(world, name="a")
    # Under one name both may hold the lease: as after a pause that one of them did not notice.
    async with running(one), running(two):
        for run_id in runs:
            await until_released(world, run_id)
    for run_id in runs:
        assert world.created[run_id] == 1
        assert sorted(await types(world, run_id)) == ["launched", "queued", "started", "succeeded"]


async def test_a_standby_takes_over_with_the_workers_of_the_one_before(world):
    world.play = world.hang
    async with running(a_launcher(world, name="a")):
        run_id = await request_run(world.bus, "long")
        await until_type(world, run_id, "started")
    async with running(a_launcher(world, name="b", rules=policy(max_concurrent_runs=1))):
        waiting = await request_run(world.bus, "next")
        await until(lambda: is_queued(world.bus, waiting), what="queued")
        world.play = world.succeed
        world.kill(run_id, WorkerEnd(signal=9, pid=1))
        await until_type(world, run_id, "lost")
        await until_type(world, waiting, "succeeded")


async def test_a_standby_that_was_there_before_answers_for_workers_that_came_later(world):
    world.play = world.hang
    async with contextlib.AsyncExitStack() as stack:
        acting = await stack.enter_async_context(running(a_launcher(world, name="a")))
        first = await request_run(world.bus, "first")
        await until_type(world, first, "started")
        await stack.enter_async_context(running(a_launcher(world, name="b")))
        later = await request_run(world.bus, "later")
        await until_type(world, later, "launched")
        await until_type(world, later, "started")
        acting.cancel()
        await asyncio.wait({acting})
        world.kill(later, WorkerEnd(signal=9, pid=1))
        await until_type(world, later, "lost")


# --- ends -----------------------------------------------------------------------------------------------------------


async def test_a_worker_that_does_not_start_in_time_is_killed_and_its_run_lost(world):
    world.play = world.sleep
    async with running(a_launcher(world, rules=policy(start=0.1))):
        run_id = await request_run(world.bus, "asleep")
        events = await until_said(world.bus, run_id)
        await until_released(world, run_id)
    assert events[-1].data["cause"] == "start_timeout"
    assert world.stops == [(run_id, True)]


async def test_a_worker_that_lost_its_claim_says_nothing_of_the_run(world):
    async def lose(run_id):
        await world.say(run_id, RunStarted(worker="other", host="h", pid=9), 0)
        return WorkerEnd(code=75, pid=1)

    world.play = lose
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "lost claim")
        await until_released(world, run_id)
    assert sorted(await types(world, run_id)) == ["launched", "queued", "started"]


async def test_a_run_whose_worker_is_gone_without_a_trace_is_lost(world):
    world.play = world.hang
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "traceless")
        await until_type(world, run_id, "launched")
        await until_type(world, run_id, "started")
    del world.workers[run_id]
    async with running(a_launcher(world, rules=policy(sweep=0.05, hearsay=0))):
        events = await until_said(world.bus, run_id)
    assert events[-1].data["cause"] == "worker_lost"
    assert "Nothing is left of it" in events[-1].data["message"]


async def test_a_run_that_is_watched_or_ended_is_not_swept_away(world):
    async with running(a_launcher(world, rules=policy(sweep=0.01))):
        done = await request_run(world.bus, "done")
        await until_released(world, done)
        del world.workers[done]
        world.play = world.hang
        living = await request_run(world.bus, "living")
        await until_type(world, living, "started")
        await until_type(world, living, "launched")
        # The sweep comes every 10 ms: a run that it would take is taken while these start.
        for number in range(5):
            pulse = await request_run(world.bus, f"pulse {number}")
            await until_type(world, pulse, "started")
        assert "lost" not in await types(world, done)
        assert "lost" not in await types(world, living)


# --- cancel ---------------------------------------------------------------------------------------------------------


async def test_a_queued_run_is_dropped_and_leaves_the_queue(world):
    async with running(a_launcher(world, rules=policy(max_concurrent_runs=0))):
        run_id = await request_run(world.bus, "queued")
        await until(lambda: is_queued(world.bus, run_id), what="queued")
        await cancel_run(world.bus, run_id)
        events = await until_said(world.bus, run_id)
        await until(lambda: _empty(world), what="the queue is empty")
    assert events[-1].type == "dagwire.run.dropped"
    assert events[-1].data["requested_by"]["name"] == "tester"
    assert events[-1].data["forced"] is False


async def test_an_order_that_comes_before_its_request_drops_the_run(world):

    run_id = run_id_for("early")
    # No slot is free: the run must not have to wait for one.
    async with running(a_launcher(world, rules=policy(max_concurrent_runs=0))):
        await cancel_run(world.bus, run_id)
        # Orders are taken in turn: when a later one was carried out, this one was looked at.
        other = await request_run(world.bus, "other")
        await until(lambda: is_queued(world.bus, other), what="queued")
        await cancel_run(world.bus, other)
        await until_type(world, other, "dropped")
        await request_run(world.bus, "early")
        await until_type(world, run_id, "dropped")
    assert not world.created


async def test_a_running_run_is_said_to_be_canceling_and_ends_by_its_own_word(world):
    stop = asyncio.Event()

    async def obey(run_id):

        await world.say(run_id, RunStarted(worker="w", host="h", pid=1), 0, expected_last=0)
        await stop.wait()
        await world.say(run_id, RunCanceled(message="", seconds=0), 1)
        return WorkerEnd(code=0, pid=1)

    world.play = obey
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "obedient")
        await until_type(world, run_id, "launched")
        await until_type(world, run_id, "started")
        await cancel_run(world.bus, run_id)
        await until_type(world, run_id, "canceling")
        stop.set()
        await until_released(world, run_id)
    assert sorted(await types(world, run_id)) == ["canceled", "canceling", "launched", "queued", "started"]
    assert world.stops == []


async def test_a_run_that_does_not_obey_is_stopped_then_killed_and_dropped_by_force(world):
    world.play = world.hang
    async with running(a_launcher(world, rules=policy(cancel=0.1, stop=0.1))):
        run_id = await request_run(world.bus, "stubborn")
        await until_type(world, run_id, "launched")
        await until_type(world, run_id, "started")
        await cancel_run(world.bus, run_id)
        events = await until_said(world.bus, run_id)
        await until_released(world, run_id)
    assert world.stops == [(run_id, False), (run_id, True)]
    assert events[-1].type == "dagwire.run.dropped"
    assert events[-1].data["forced"] is True


async def test_an_ended_run_cannot_be_canceled(world):
    async with running(a_launcher(world)):
        run_id = await request_run(world.bus, "done")
        await until_released(world, run_id)
        await cancel_run(world.bus, run_id)
        other = await request_run(world.bus, "other")
        await until_released(world, other)
        # Orders are taken in turn: when a later one was carried out, so was this one.
        late = run_id_for("late")
        await cancel_run(world.bus, late)
        await request_run(world.bus, "late")
        await until_type(world, late, "dropped")
    assert sorted(await types(world, run_id)) == ["launched", "queued", "started", "succeeded"]


async def test_an_order_that_cannot_be_read_stops_nobody(world):
    async with running(a_launcher(world, rules=policy(max_concurrent_runs=0))):
        run_id = await request_run(world.bus, "queued")
        await until(lambda: is_queued(world.bus, run_id), what="queued")
        await world.bus.streams.publish(Message(control_subject(run_id), b"stop it!", "m"))
        other = await request_run(world.bus, "other")
        await until(lambda: is_queued(world.bus, other), what="queued")
        await cancel_run(world.bus, other)
        await until_type(world, other, "dropped")


# --- outages --------------------------------------------------------------------------------------------------------


async def test_after_an_outage_everything_goes_on(world):
    async with running(a_launcher(world)):
        first = await request_run(world.bus, "first")
        await until_released(world, first)
        world.broker.online = False
        await asyncio.sleep(0)
        world.broker.online = True
        second = await request_run(world.bus, "second")
        await until_released(world, second)


async def test_time_is_asked_of_the_clock():
    bus = MemoryBus(MemoryBroker())
    run_id = await request_run(bus, "k")
    ledger = Ledger(bus.streams, clock=lambda: utc_now().replace(year=2030))

    await ledger.say(run_id, queued(a_request("k")), after=0)
    (event,) = await said_of(bus, run_id)
    assert event.time.year == 2030
