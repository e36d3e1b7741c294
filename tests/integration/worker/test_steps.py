"""A run whose steps have workers of their own: what they say is the run's, once and in order, whatever is killed."""

import asyncio
import os
import signal
from collections import Counter

import pytest
from dagwire_shared.events import FailureCause, StepWorkerRequested
from dagwire_shared.ids import run_id_for
from support.launching import TERMINAL, a_request, cancel_run, launch_body, location, said, until, until_said
from support.stepworkers import StepProcesses, following

CODE = """
import os, signal, sys, time
from dagwire import In, Nothing, Out, Output, job, kubernetes_executor, mem_io_manager, op

print("imported")

@op
def one():
    return 1

@op(out={"even": Out(int, is_required=False), "odd": Out(int, is_required=False)})
def sort_out(number: int):
    yield Output(number, "odd" if number % 2 else "even")

@op
def on_even(number: int):
    return number

@op
def add(context, numbers: list[int]):
    context.log.info("adding %s", numbers)
    print("printed", flush=True)
    return sum(numbers)

@job(executor_def=kubernetes_executor)
def fan():
    first = one.alias("first")()
    even, odd = sort_out(first)
    on_even(even)
    add([first, one.alias("second")(), odd])

@op
def wait_for_file(context):
    print("waiting", flush=True)
    while not os.path.exists(context.get_tag("file")):
        time.sleep(0.01)
    return 1

@job(executor_def=kubernetes_executor)
def waiting():
    wait_for_file()

@op
def lines(context):
    for number in range(int(context.get_tag("lines"))):
        context.log.info("line %s", number)

@op
def fails():
    raise ValueError("no")

@job(executor_def=kubernetes_executor)
def talking():
    lines()

@job(executor_def=kubernetes_executor)
def failing():
    on_even(fails())

@op
def leaves():
    os._exit(0)

@job(executor_def=kubernetes_executor)
def leaving():
    leaves()

@op
def stubborn():
    print("waiting", flush=True)
    while True:
        try:
            while True:
                time.sleep(0.05)
        except BaseException:
            pass

@job(executor_def=kubernetes_executor)
def staying():
    stubborn()
    one()

@job(executor_def=kubernetes_executor.configured({"max_concurrent": 1, "step_k8s_config": {"labels": {"team": "a"}},
    "per_step_k8s_config": {"b": {"resources": {"limits": {"memory": "1Gi"}}}}}))
def told():
    one.alias("a")()
    one.alias("b").tag({"dagwire/kubernetes": {"nodeSelector": {"disk": "fast"}}})()

@job(executor_def=kubernetes_executor.configured({"per_step_k8s_config": {"nobody": {}}}))
def mistaken():
    one()
"""


@pytest.fixture
def steps(bus, server, tmp_path):
    """Step workers of the run of a key, made as it orders them."""

    def of(key, job, **fields):
        place = location(tmp_path / "code", code=CODE)
        body = launch_body(a_request(key, job, **fields))
        made = StepProcesses(bus, run_id_for(key), place, body, tmp_path / "steps")
        made.settings = {"storage_directory": tmp_path / "a" / "storage"}
        made.nats_url = server.url
        return following(made)

    return of


def ended_with(events):
    """How the run ended: the ends of step workers are told when they are seen, perhaps after it."""
    return next(one for one in events if one.type in TERMINAL)


def of_type(events, kind):
    return [one for one in events if one.type == f"dagwire.{kind}"]


def keys(events, kind):
    return [one.data["step_key"] for one in of_type(events, kind)]


def log_lines(events):
    return [one.data["message"] for one in events if one.type == "dagwire.log.written" and one.data["stream"] == "log"]


async def test_each_step_runs_in_a_worker_of_its_own_and_the_run_tells_all_of_it(bus, worker, steps):
    async with steps("fan", "fan") as made:
        run = worker("fan", "fan", code=CODE)
        assert await run.ended() == 0, run.text()
        events = await said(bus, run_id_for("fan"))
        assert ended_with(events).type == "dagwire.run.succeeded", made.text()
        assert sorted(keys(events, "step.succeeded")) == ["add", "first", "second", "sort_out"]
        assert keys(events, "step.skipped") == ["on_even"]
        pids = {one.data["pid"] for one in of_type(events, "step.started")}
        assert pids == {one.process.pid for one in made.processes.values()}
        assert run.process.pid not in pids
        assert "adding [1, 1, 1]" in log_lines(events)
        assert any(one.data.get("message") == "printed" and one.data["step_key"] == "add" for one in events)
        assert [await one.ended() for one in made.processes.values()] == [0] * 4, made.text()
    # One writer, one numbering, and each step's words in their order.
    own = [one for one in events if one.source == "/dagwire/run-worker"]
    assert [one.id for one in own] == [f"{run_id_for('fan')}:1:{number}" for number in range(len(own))]
    of_add = [one.type for one in events if (one.data or {}).get("step_key") == "add"]
    assert of_add.index("dagwire.step.started") < of_add.index("dagwire.data.output_produced")


async def test_orders_carry_what_the_executor_the_op_and_the_run_say_of_the_pod(bus, worker, steps):
    async with steps("told", "told") as made:
        run = worker("told", "told", code=CODE)
        assert await run.ended() == 0, run.text()
    labels = {"labels": {"team": "a"}}
    assert [(one.step_key, one.container_config) for one in made.orders] == [
        ("a", [labels]),
        ("b", [labels, {"nodeSelector": {"disk": "fast"}}, {"resources": {"limits": {"memory": "1Gi"}}}]),
    ]
    events = await said(bus, run_id_for("told"))
    order = [(one.type, one.data["step_key"]) for one in events if one.type.startswith("dagwire.step.s")]
    # One at a time, as it was told.
    assert [key for _, key in order] == ["a", "a", "b", "b"]


async def test_config_for_a_step_that_there_is_not_fails_the_run(bus, worker):
    run = worker("mistaken", "mistaken", code=CODE)
    assert await run.ended() == 0, run.text()
    end = ended_with(await said(bus, run_id_for("mistaken")))
    assert "per_step_k8s_config names 'nobody', which is no step of this job" in end.data["message"]


async def test_a_failing_step_fails_its_run(bus, worker, steps):
    async with steps("failing", "failing") as made:
        run = worker("failing", "failing", code=CODE)
        assert await run.ended() == 0, run.text()
        events = await said(bus, run_id_for("failing"))
        assert of_type(events, "step.failed")[0].data["error"]["message"] == "no"
        assert of_type(events, "step.failed")[0].data["cause"] is None
        assert keys(events, "step.skipped") == ["on_even"]
        assert ended_with(events).data["cause"] == "step_failed"
        assert await made.processes["fails"].ended() == 0  # the failure was told


async def test_an_output_that_another_pod_cannot_see_says_what_to_set_up(bus, worker, steps):
    async with steps("apart", "fan") as made:
        made.own_storage = True
        run = worker("apart", "fan", code=CODE)
        assert await run.ended() == 0, run.text()
    failed = of_type(await said(bus, run_id_for("apart")), "step.failed")
    assert {one.data["step_key"] for one in failed} == {"sort_out"}
    message = failed[0].data["error"]["message"]
    assert "output 'result' of step 'first' is not in" in message
    assert "mount one volume into all of them" in message


async def test_a_worker_that_ends_before_its_step_fails_it_with_its_cause(bus, worker, steps):
    async with steps("leaving", "leaving") as made:
        made.tells_ends = False
        run = worker("leaving", "leaving", code=CODE)
        await until(lambda: asyncio.sleep(0, "leaves" in made.processes), what="a worker is created")
        assert await made.processes["leaves"].ended() == 0
        await made.tell_end("leaves", "used more than 64Mi", FailureCause.OUT_OF_MEMORY)
        assert await run.ended() == 0, run.text()
    failed = of_type(await said(bus, run_id_for("leaving")), "step.failed")
    assert [(one.data["cause"], one.data["error"]["message"]) for one in failed] == [
        ("out_of_memory", "used more than 64Mi")
    ]
    assert failed[0].data["error"]["type"] == "dagwire.StepWorkerError"


async def test_a_worker_that_never_began_fails_its_step(bus, worker, steps):
    async with steps("nobody", "waiting") as made:
        made.creates = False
        run = worker("nobody", "waiting", code=CODE)
        await until_said(bus, run_id_for("nobody"), "dagwire.step_worker.requested")
        await made.tell_end("wait_for_file", "no such image", FailureCause.IMAGE_UNAVAILABLE)
        assert await run.ended() == 0, run.text()
    events = await said(bus, run_id_for("nobody"))
    assert of_type(events, "step.failed")[0].data["cause"] == "image_unavailable"
    assert not of_type(events, "step.started")


async def test_a_step_is_executed_by_one_worker_though_two_were_created(bus, worker, steps, tmp_path):
    run_id = run_id_for("twice")
    async with steps("twice", "waiting", tags={"file": str(tmp_path / "go")}) as made:
        run = worker("twice", "waiting", code=CODE, tags={"file": str(tmp_path / "go")})
        await until_said(bus, run_id, lambda one: one.data.get("message") == "waiting")
        second = made.create("wait_for_file", name="second")
        assert await second.ended() == 75, second.text()
        (tmp_path / "go").touch()
        assert await run.ended() == 0, run.text()
        # The run is over: a third finds nobody, or is told so.
    events = await said(bus, run_id)
    assert len(of_type(events, "step.started")) == 1
    assert ended_with(events).type == "dagwire.run.succeeded"


async def test_the_bus_goes_away_in_the_middle_and_nothing_is_lost(server, bus, worker, steps):
    run_id = run_id_for("outage")
    fields = {"tags": {"lines": "4000"}}
    async with steps("outage", "talking", **fields) as made:
        run = worker("outage", "talking", code=CODE, **fields)
        await until_said(bus, run_id, lambda one: one.data.get("message") == "line 5")
        for _ in range(3):
            await server.kill()
            await server.start()
            await asyncio.sleep(0.3)
        assert await run.ended() == 0, run.text() + made.text()
    events = await said(bus, run_id)
    assert log_lines(events) == [f"line {number}" for number in range(4000)]
    assert ended_with(events).type == "dagwire.run.succeeded"
    assert max(Counter(one.id for one in events).values()) == 1


async def test_a_canceled_run_ends_its_step_workers(bus, worker, steps, tmp_path):
    fields = {"tags": {"file": str(tmp_path / "never")}}
    async with steps("cancel", "waiting", **fields) as made:
        run = worker("cancel", "waiting", code=CODE, **fields)
        await until_said(bus, run_id_for("cancel"), lambda one: one.data.get("message") == "waiting")
        await cancel_run(bus, run_id_for("cancel"))
        assert await run.ended() == 0, run.text()
        assert await made.processes["wait_for_file"].ended() == 0, made.text()
    events = await said(bus, run_id_for("cancel"))
    assert ended_with(events).type == "dagwire.run.canceled"
    (failed,) = of_type(events, "step.failed")
    assert failed.data["error"]["type"] == "dagwire.RunCancellation"
    assert not of_type(events, "step_worker.released")  # it went by itself


async def test_a_canceled_run_releases_workers_that_nobody_made_and_those_that_stay(bus, worker, steps):
    async with steps("stay", "staying") as made:
        run = worker("stay", "staying", code=CODE)
        made.processes["one"] = None  # never created: it waits for a machine
        await until_said(bus, run_id_for("stay"), lambda one: one.data.get("message") == "waiting")
        await cancel_run(bus, run_id_for("stay"))
        assert await run.ended() == 0, run.text()
        del made.processes["one"]
    events = await said(bus, run_id_for("stay"))
    assert sorted(keys(events, "step_worker.released")) == ["one", "stubborn"]
    assert ended_with(events).type == "dagwire.run.canceled"
    assert "did not end in time" in of_type(events, "step.failed")[-1].data["error"]["message"]


async def test_a_platforms_signal_leaves_the_end_of_the_step_to_the_launcher(bus, worker, steps, tmp_path):
    fields = {"tags": {"file": str(tmp_path / "never")}}
    async with steps("evicted", "waiting", **fields) as made:
        made.tells_ends = False
        made.settings["signals"] = "interrupt"
        run = worker("evicted", "waiting", code=CODE, **fields)
        await until_said(bus, run_id_for("evicted"), lambda one: one.data.get("message") == "waiting")
        made.processes["wait_for_file"].process.terminate()
        assert await made.processes["wait_for_file"].ended() == 76, made.text()
        await made.tell_end("wait_for_file", "evicted: the node ran out of disk", FailureCause.EVICTED)
        assert await run.ended() == 0, run.text()
    (failed,) = of_type(await said(bus, run_id_for("evicted")), "step.failed")
    assert (failed.data["cause"], failed.data["error"]["message"]) == ("evicted", "evicted: the node ran out of disk")


async def test_step_workers_leave_when_their_run_worker_is_gone(bus, worker, steps, tmp_path):
    fields = {"tags": {"file": str(tmp_path / "never")}}
    async with steps("orphan", "waiting", **fields) as made:
        made.settings["step_absence_seconds"] = 1
        run = worker("orphan", "waiting", code=CODE, **fields)
        await until_said(bus, run_id_for("orphan"), lambda one: one.data.get("message") == "waiting")
        os.kill(run.process.pid, signal.SIGKILL)
        assert await made.processes["wait_for_file"].ended() == 70, made.text()


async def test_a_worker_for_a_step_that_is_not_wanted_leaves_at_once(bus, worker, steps, tmp_path):
    fields = {"tags": {"file": str(tmp_path / "go")}}
    async with steps("stray", "waiting", **fields) as made:
        run = worker("stray", "waiting", code=CODE, **fields)
        await until_said(bus, run_id_for("stray"), lambda one: one.data.get("message") == "waiting")
        stray = made.create("one", name="stray")
        assert await stray.ended() == 75, stray.text()
        assert "the run does not want this step executed" in stray.text()
        (tmp_path / "go").touch()
        assert await run.ended() == 0


async def test_an_end_that_was_not_heard_is_asked_for(server, bus, worker, steps, tmp_path):
    # The launcher's word came while the run worker was off the bus; it asks again, and is told again.
    run_id = run_id_for("unheard")
    async with steps("unheard", "leaving") as made:
        made.tells_ends = False
        run = worker("unheard", "leaving", code=CODE, settings={"step_silence_seconds": 1})

        async def asked_again():
            return sum(isinstance(one, StepWorkerRequested) for one in made.orders) >= 2

        await until(asked_again, what="the run asks again")
        await made.tell_end("leaves", "gone")
        assert await run.ended() == 0, run.text()
    assert of_type(await said(bus, run_id), "step.failed")[0].data["error"]["message"] == "gone"
