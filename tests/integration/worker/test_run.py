"""A run worker, started by hand: what it says, and what becomes of it."""

import asyncio
import os
import signal
from datetime import UTC, datetime

import pytest
from dagwire_shared.envelope import event_message
from dagwire_shared.events import RequestedBy, RunDropped
from dagwire_shared.ids import run_id_for
from support.launching import WorkerProcess, cancel_run, location, said, types_said, until_said

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_run_is_told_from_start_to_end_in_order(bus, worker):
    run_id = run_id_for("whole")
    process = worker("whole")
    assert await process.ended() == 0, process.text()
    events = await said(bus, run_id)
    assert events[0].type == "dagwire.run.started"
    assert events[1].type == "dagwire.run.planned"
    assert events[-1].type == "dagwire.run.succeeded"
    assert [one.id for one in events] == [f"{run_id}:1:{number}" for number in range(len(events))]
    assert {one.source for one in events} == {"/dagwire/run-worker"}
    assert events[0].data["pid"] == process.process.pid


async def test_the_trace_of_the_request_is_in_every_event(bus, worker):
    process = worker("traced", traceparent=TRACE)
    assert await process.ended() == 0
    assert {one.traceparent for one in await said(bus, run_id_for("traced"))} == {TRACE}


async def test_of_two_workers_of_a_run_one_does_it_and_the_other_leaves_without_a_word(bus, worker, tmp_path):
    file = tmp_path / "go"
    both = [worker("twice", "waiting", name=name, tags={"file": str(file)}) for name in ("a", "b")]
    ended, running = await asyncio.wait(
        {asyncio.create_task(one.ended()) for one in both}, return_when="FIRST_COMPLETED"
    )
    assert [task.result() for task in ended] == [75]
    file.touch()
    assert [await task for task in running] == [0]
    types = await types_said(bus, run_id_for("twice"))
    assert types.count("dagwire.run.started") == types.count("dagwire.run.succeeded") == 1
    assert types.count("dagwire.step.started") == 1


async def test_a_run_that_was_dropped_before_is_not_begun(bus, worker):
    run_id = run_id_for("dropped")
    end = RunDropped(requested_by=RequestedBy(kind="bus"))
    message = event_message(end, id=f"{run_id}:end", source="/test", subject=run_id, time=datetime.now(UTC))
    await bus.streams.publish(message)
    assert await worker("dropped").ended() == 75
    assert "dagwire.step.started" not in await types_said(bus, run_id)


async def test_a_canceled_run_stops_at_once_and_says_who_wanted_it(bus, worker, tmp_path):
    run_id = run_id_for("cancel")
    process = worker("cancel", "waiting", tags={"file": str(tmp_path / "never")})
    await until_said(bus, run_id, lambda event: event.type == "dagwire.log.written")
    await cancel_run(bus, run_id, by="ada")
    assert await process.ended() == 0
    events = await said(bus, run_id)
    assert events[-1].type == "dagwire.run.canceled"
    assert "ada" in events[-1].data["message"]


async def test_an_order_from_before_the_start_is_heard(bus, worker, tmp_path):
    run_id = run_id_for("early")
    await cancel_run(bus, run_id)
    process = worker("early", "waiting", tags={"file": str(tmp_path / "never")})
    assert await process.ended() == 0
    assert (await types_said(bus, run_id))[-1] == "dagwire.run.canceled"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_is_told_to_end_cancels_its_run(bus, worker, tmp_path, number):
    run_id = run_id_for("signal")
    process = worker("signal", "waiting", tags={"file": str(tmp_path / "never")})
    await until_said(bus, run_id, lambda event: event.type == "dagwire.log.written")
    os.kill(process.process.pid, number)
    assert await process.ended() == 0
    events = await said(bus, run_id)
    assert events[-1].type == "dagwire.run.canceled"
    assert number.name in events[-1].data["message"]


async def test_a_worker_that_a_platform_interrupts_leaves_the_end_to_the_launcher(bus, worker, tmp_path):
    run_id = run_id_for("interrupted")
    tags = {"file": str(tmp_path / "never")}
    process = worker("interrupted", "waiting", tags=tags, settings={"signals": "interrupt"})
    await until_said(bus, run_id, lambda event: event.type == "dagwire.log.written")
    os.kill(process.process.pid, signal.SIGTERM)
    assert await process.ended() == 76
    types = await types_said(bus, run_id)
    assert types[-1] == "dagwire.step.failed"
    assert "dagwire.run.canceled" not in types


async def test_a_cancel_order_cancels_a_run_that_signals_only_interrupt(bus, worker, tmp_path):
    run_id = run_id_for("ordered")
    tags = {"file": str(tmp_path / "never")}
    process = worker("ordered", "waiting", tags=tags, settings={"signals": "interrupt"})
    await until_said(bus, run_id, lambda event: event.type == "dagwire.log.written")
    await cancel_run(bus, run_id)
    assert await process.ended() == 0
    assert (await types_said(bus, run_id))[-1] == "dagwire.run.canceled"


async def test_code_that_does_not_load_fails_its_run_with_the_error(bus, worker):
    process = worker("broken", code="import not_there\n")
    assert await process.ended() == 0
    (started, failed) = await said(bus, run_id_for("broken"))
    assert started.type == "dagwire.run.started"
    assert failed.type == "dagwire.run.failed"
    assert failed.data["cause"] == "run_error"
    assert "not_there" in failed.data["message"]


async def test_a_job_that_does_not_exist_fails_its_run(bus, worker):
    assert await worker("nojob", "no_such_job").ended() == 0
    events = await said(bus, run_id_for("nojob"))
    assert events[-1].data["cause"] == "run_error"
    assert "no_such_job" in events[-1].data["message"]


async def test_a_config_that_does_not_fit_fails_its_run(bus, worker):
    assert await worker("noconfig", run_config={"ops": {"nobody": {}}}).ended() == 0
    events = await said(bus, run_id_for("noconfig"))
    assert events[-1].data["cause"] == "run_error"
    assert "nobody" in events[-1].data["message"]


async def test_a_launch_file_that_is_none_is_named_in_one_line(tmp_path):
    process = WorkerProcess(location(tmp_path / "code"), b"no json", tmp_path / "run", nats_url="nats://127.0.0.1:1")
    assert await process.ended() == 2
    assert "the launch message is no message about a run" in process.text()
    assert "Traceback" not in process.text()


async def test_twenty_thousand_lines_arrive_in_order_and_once(bus, worker):
    process = worker("loud", "loud", tags={"lines": "20000"})
    assert await process.ended(60) == 0
    lines = [one for one in await said(bus, run_id_for("loud")) if one.type == "dagwire.log.written"]
    assert [one.data["message"] for one in lines] == [f"line {number}" for number in range(20_000)]
