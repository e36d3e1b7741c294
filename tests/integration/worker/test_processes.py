"""A run whose steps are processes of their own: they end with it, however it ends."""

import os
import signal

import psutil
import pytest
from dagwire_shared.ids import run_id_for
from support.launching import cancel_run, said, until, until_said

CODE = """
import os, time
from dagwire import job, multiprocess_executor, op

@op
def wait_for_file(context):
    print("waiting", flush=True)
    while not os.path.exists(context.get_tag("file")):
        time.sleep(0.01)
    return 1

@job(executor_def=multiprocess_executor)
def waiting():
    wait_for_file()
"""


@pytest.fixture
async def waiting(bus, worker, tmp_path):
    """A worker whose step waits in a process of its own."""
    process = worker("steps", "waiting", code=CODE, tags={"file": str(tmp_path / "go")})
    await until_said(bus, run_id_for("steps"), lambda event: event.data.get("message") == "waiting")
    return process


def family(process):
    return psutil.Process(process.process.pid).children(recursive=True)


async def until_gone(processes):
    async def gone():
        return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)

    await until(gone, what="the processes of the steps have ended")


async def test_it_runs_to_its_end(bus, waiting, tmp_path):
    (tmp_path / "go").touch()
    assert await waiting.ended() == 0, waiting.text()
    events = await said(bus, run_id_for("steps"))
    assert events[-1].type == "dagwire.run.succeeded"
    started = next(one for one in events if one.type == "dagwire.step.started")
    assert started.data["pid"] != waiting.process.pid


async def test_a_canceled_run_ends_its_steps(bus, waiting):
    processes = family(waiting)
    assert processes
    await cancel_run(bus, run_id_for("steps"))
    assert await waiting.ended() == 0, waiting.text()
    assert (await said(bus, run_id_for("steps")))[-1].type == "dagwire.run.canceled"
    await until_gone(processes)


async def test_the_steps_of_a_killed_worker_are_in_its_process_group(bus, waiting):
    # So the backend, which kills the group after each end, leaves none.
    assert {os.getpgid(one.pid) for one in family(waiting)} == {waiting.process.pid}
    processes = family(waiting)
    os.kill(waiting.process.pid, signal.SIGKILL)
    os.killpg(waiting.process.pid, signal.SIGKILL)
    await until_gone(processes)
