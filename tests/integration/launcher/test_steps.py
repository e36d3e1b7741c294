"""Runs whose steps have workers of their own, as processes of this machine: each executes once, none stays behind."""

import os
import signal

import psutil
import pytest
from dagwire_shared.addresses import nats_address
from dagwire_shared.jetstream import provision
from support.credentials import PASSWORDS, SECRET, as_user, guarded_server
from support.launching import cancel_run, launchers, location, request_run, said, serve, until, until_said
from support.stepcode import STEP_CODE


@pytest.fixture
async def stage(bus, launcher, tmp_path):
    """A launcher that serves the steps' code; runs keep their journal beside it."""
    await serve(bus, location(tmp_path / "code", code=STEP_CODE))
    one = launcher()

    async def request(key, job, **tags):
        return await request_run(
            bus, key, job, tags={"journal": str(tmp_path / "journal"), "file": str(tmp_path / "go"), **tags}
        )

    return one, request


def journal(tmp_path):
    file = tmp_path / "journal"
    return file.read_text().splitlines() if file.exists() else []


def of(events, word):
    return [one for one in events if one.type == f"dagwire.{word}"]


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until_gone(pids):
    async def gone():
        return not any(is_alive(pid) for pid in pids)

    await until(gone, what="the steps' workers have ended")


async def step_pid(bus, run_id):
    events = await until_said(bus, run_id, lambda one: one.data.get("message") == "waiting")
    return of(events, "step.started")[0].data["pid"]


async def test_each_step_has_a_process_of_its_own_and_its_end_is_told(bus, stage, tmp_path):
    _, request = stage
    run_id = await request("fan", "fan")
    events = await until_said(bus, run_id)
    assert events[-1].type == "dagwire.run.succeeded"
    assert len({one.data["pid"] for one in of(events, "step.started")}) == 6
    assert len(journal(tmp_path)) == 5

    async def told():
        ended = of(await said(bus, run_id), "step_worker.ended")
        return len(ended) >= 5 and all(one.data["cause"] is None for one in ended)

    # The last one's end may be seen after the run's, and is nobody's business then.
    await until(told, what="the ends of the steps' workers are told")
    await until_gone(one.data["pid"] for one in of(events, "step.started"))


async def test_a_step_that_is_killed_fails_with_what_the_launcher_saw(bus, stage):
    _, request = stage
    run_id = await request("killed", "waiting")
    os.kill(await step_pid(bus, run_id), signal.SIGKILL)
    events = await until_said(bus, run_id)
    (failed,) = of(events, "step.failed")
    assert failed.data["cause"] == "worker_lost"
    assert "was killed by SIGKILL" in failed.data["error"]["message"]
    (ended,) = of(events, "step_worker.ended")
    assert "waiting" in ended.data["output"]
    assert events[-1].data["cause"] == "step_failed"


async def test_cancel_leaves_no_worker_of_a_step(bus, stage):
    _, request = stage
    run_id = await request("cancel", "waiting")
    pid = await step_pid(bus, run_id)
    await cancel_run(bus, run_id)
    assert (await until_said(bus, run_id))[-1].type == "dagwire.run.canceled"
    await until_gone([pid])


async def test_a_step_that_cannot_be_canceled_is_ended(bus, launcher, stage):
    _, request = stage
    run_id = await request("stay", "staying")
    pid = await step_pid(bus, run_id)
    await cancel_run(bus, run_id)
    assert (await until_said(bus, run_id))[-1].type == "dagwire.run.canceled"
    await until_gone([pid])


async def test_a_killed_run_worker_leaves_no_worker_of_a_step(bus, stage):
    _, request = stage
    run_id = await request("lost", "waiting")
    pid = await step_pid(bus, run_id)
    worker = of(await said(bus, run_id), "run.started")[0].data["pid"]
    os.kill(worker, signal.SIGKILL)
    assert (await until_said(bus, run_id))[-1].type == "dagwire.run.lost"
    await until_gone([pid])


@pytest.mark.parametrize(
    "moment", ["step_worker.requested", "step.started", "step.succeeded", "step_worker.ended", "run.succeeded"]
)
async def test_a_launcher_that_is_killed_runs_no_step_twice(bus, stage, tmp_path, moment):
    one, request = stage
    run_id = await request(f"killed at {moment}", "fan")
    await until_said(bus, run_id, f"dagwire.{moment}")
    one.kill()
    one.start()
    events = await until_said(bus, run_id)
    assert events[-1].type == "dagwire.run.succeeded"
    assert len(of(events, "step.started")) == len({one.data["step_key"] for one in of(events, "step.started")}) == 6
    assert sorted(line.split()[0] for line in journal(tmp_path)) == ["all", "part_0", "part_1", "part_2", "part_3"]
    await until_gone(one.data["pid"] for one in of(events, "step.started"))


async def test_steps_of_a_run_that_ended_without_a_launcher_are_ended_by_the_next_one(bus, stage):
    one, request = stage
    run_id = await request("alone", "waiting")
    pid = await step_pid(bus, run_id)
    one.kill()
    worker = of(await said(bus, run_id), "run.started")[0].data["pid"]
    os.killpg(worker, signal.SIGKILL)
    assert is_alive(pid)
    one.start()
    assert (await until_said(bus, run_id))[-1].type == "dagwire.run.lost"
    await until_gone([pid])


async def test_an_end_that_came_while_no_launcher_was_there_is_told_by_the_next_one(bus, stage):
    one, request = stage
    run_id = await request("unseen", "waiting")
    pid = await step_pid(bus, run_id)
    one.kill()
    os.kill(pid, signal.SIGKILL)
    one.start()
    (failed,) = of(await until_said(bus, run_id), "step.failed")
    assert failed.data["cause"] == "worker_lost"


@pytest.fixture
async def guarded(tmp_path):
    """A bus where each worker has a credential of its run's own, a launcher that answers for them, and its client."""
    async with (
        guarded_server(tmp_path) as server,
        as_user(server, "launcher") as bus,
        as_user(server, "scheduler") as scheduler,
    ):
        await provision(bus)
        await serve(scheduler, location(tmp_path / "code", code=STEP_CODE))
        settings = {"credential_secret": SECRET, "worker_nats_url": server.url}
        url = nats_address(server.url, user="launcher", password=PASSWORDS["launcher"])
        async with launchers(url, tmp_path) as make:
            make(**settings)
            async with as_user(server, "client") as client:
                yield client


@pytest.mark.parametrize("is_killed", [False, True], ids=["to its end", "until it is killed"])
async def test_with_its_runs_credential_a_step_talks_and_is_told_of(guarded, tmp_path, is_killed):
    tags = {"journal": str(tmp_path / "journal"), "file": str(tmp_path / "go")}
    run_id = await request_run(guarded, "credentials", "waiting", tags=tags)
    pid = await step_pid(guarded, run_id)
    if is_killed:
        os.kill(pid, signal.SIGKILL)
    else:
        (tmp_path / "go").touch()
    events = await until_said(guarded, run_id)
    if is_killed:
        assert of(events, "step.failed")[0].data["cause"] == "worker_lost"
    else:
        assert events[-1].type == "dagwire.run.succeeded"
