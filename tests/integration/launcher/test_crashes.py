"""The launcher is killed, its workers are killed, NATS is killed: every run still ends once."""

import os
import shutil
import signal

import pytest
from dagwire_launcher import procfs
from support.launching import (
    TERMINAL,
    cancel_run,
    counts,
    location,
    request_run,
    said,
    serve,
    types_said,
    until,
    until_off_queue,
    until_said,
    worker_pids,
)


def times(events, word):
    return [one.type for one in events].count(f"dagwire.{word}")


async def ended_once(bus, run_id, *, by="run.succeeded"):
    events = await until_said(bus, run_id)
    await until_off_queue(bus, run_id)
    events = await said(bus, run_id)
    assert times(events, "run.queued") == times(events, "run.launched") == times(events, "run.started") == 1
    assert times(events, by) == 1
    assert max(counts(events).values()) == 1
    return events


@pytest.mark.parametrize("moment", ["run.queued", "run.launched", "run.started", "step.started", "run.succeeded"])
async def test_a_launcher_that_is_killed_at_an_event_is_continued_by_its_next_life(bus, launcher, moment):
    one = launcher()
    await until(lambda: _acts(one), what="the launcher acts")
    run_id = await request_run(bus, f"killed at {moment}")
    await until_said(bus, run_id, f"dagwire.{moment}")
    one.kill()
    one.start()
    events = await ended_once(bus, run_id)
    assert times(events, "step.started") == 1


async def _acts(one):
    return "queue read" in one.text()


async def test_a_launcher_that_is_killed_between_worker_and_word_finds_the_worker(bus, launcher, tmp_path):
    """The worker exists, and nothing says so but the process itself."""
    one = launcher()
    file = tmp_path / "go"
    run_id = await request_run(bus, "unsaid", "waiting", tags={"file": str(file)})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "waiting")
    one.kill()
    # As if it had died after the spawn: before its note, before its word, before it cleared the queue.
    (one.directory / run_id / "worker.json").unlink()
    (pid,) = worker_pids(one.directory)
    one.start()
    await until(lambda: _noted(one, run_id, pid), what="the worker is noted again")
    file.touch()
    await ended_once(bus, run_id)


async def _noted(one, run_id, pid):
    note = one.directory / run_id / "worker.json"
    return note.exists() and f'"pid": {pid}' in note.read_text()


async def test_many_runs_survive_a_launcher_that_is_killed_again_and_again(bus, launcher):
    one = launcher(max_concurrent_runs=3)
    runs = [await request_run(bus, f"run {number}") for number in range(9)]
    for run_id in runs[::3]:
        await until_said(bus, run_id, "dagwire.run.queued")
        one.kill()
        one.start()
        await until_said(bus, run_id, "dagwire.run.launched")
        one.kill()
        one.start()
    for run_id in runs:
        events = await ended_once(bus, run_id)
        assert times(events, "step.started") == 1


async def test_a_killed_worker_loses_its_run_with_its_last_words(bus, launcher, tmp_path):
    one = launcher()
    run_id = await request_run(bus, "crash", "waiting", tags={"file": str(tmp_path / "never")})
    output = one.directory / run_id / "output.log"

    async def written():
        return output.exists() and "waiting" in output.read_text()

    await until(written, what="the worker has written something")
    (pid,) = worker_pids(one.directory)
    os.kill(pid, signal.SIGKILL)
    events = await until_said(bus, run_id)
    assert events[-1].type == "dagwire.run.lost"
    assert events[-1].data["cause"] == "worker_lost"
    assert "SIGKILL" in events[-1].data["message"]
    assert events[-1].data["output"].endswith("waiting\n")


async def test_a_worker_that_dies_while_no_launcher_lives_loses_its_run_at_the_next_start(bus, launcher, tmp_path):
    one = launcher()
    run_id = await request_run(bus, "alone", "waiting", tags={"file": str(tmp_path / "never")})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "waiting")
    one.kill()
    (pid,) = worker_pids(one.directory)
    os.killpg(pid, signal.SIGKILL)
    one.start()
    events = await until_said(bus, run_id)
    assert events[-1].type == "dagwire.run.lost"
    assert "nobody saw how" in events[-1].data["message"]


async def test_a_run_whose_directory_was_deleted_still_ends(bus, launcher, tmp_path):
    one = launcher(sweep_seconds=0.2)
    run_id = await request_run(bus, "deleted", "waiting", tags={"file": str(tmp_path / "never")})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "waiting")
    one.kill()
    (pid,) = worker_pids(one.directory)
    shutil.rmtree(one.directory / run_id)
    one.start()
    # As long as the process lives, it is not given up.
    other = await request_run(bus, "other")
    await until_said(bus, other)
    assert "dagwire.run.lost" not in await types_said(bus, run_id)
    os.killpg(pid, signal.SIGKILL)
    events = await until_said(bus, run_id)
    assert "Nothing is left of it" in events[-1].data["message"]


async def test_what_a_killed_worker_had_started_is_ended_with_it(bus, launcher, tmp_path):

    code = """
    import subprocess, sys, time
    from dagwire import job, op

    @op
    def parent(context):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(f"child {child.pid}", flush=True)
        time.sleep(600)

    @job
    def family():
        parent()
    """
    await serve(bus, location(tmp_path / "family", code=code))
    one = launcher()
    run_id = await request_run(bus, "family", "family")
    events = await until_said(bus, run_id, lambda event: str(event.data.get("message")).startswith("child"))
    child = int(events[-1].data["message"].split()[1])
    (pid,) = worker_pids(one.directory)
    os.kill(pid, signal.SIGKILL)
    await until_said(bus, run_id, "dagwire.run.lost")
    await until(lambda: _gone(child), what="the child is gone")


async def _gone(pid):
    process = procfs.identify(pid)
    return process is None or not process.alive


async def test_a_worker_that_does_not_start_in_time_is_killed(bus, launcher, tmp_path):

    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\necho too lazy\nexec sleep 600\n")
    sleeper.chmod(0o755)
    await serve(bus, location(tmp_path / "code", executable=str(sleeper)))
    launcher(start_timeout_seconds=0.5)
    run_id = await request_run(bus, "lazy")
    events = await until_said(bus, run_id)
    assert events[-1].data["cause"] == "start_timeout"
    assert "too lazy" in events[-1].data["output"]


async def test_nats_is_killed_in_the_middle_of_everything(server, bus, launcher, tmp_path):
    one = launcher(max_concurrent_runs=2)
    file = tmp_path / "go"
    talking = await request_run(bus, "talking", "talking", tags={"file": str(file)})
    await until_said(bus, talking, lambda event: event.data.get("message") == "line 10")
    others = [await request_run(bus, f"other {number}") for number in range(6)]
    await server.kill()
    await server.start()
    others += [await request_run(bus, f"later {number}") for number in range(3)]
    for run_id in others:
        await ended_once(bus, run_id)
    file.touch()
    events = await ended_once(bus, talking)
    lines = [one.data["message"] for one in events if one.type == "dagwire.log.written"]
    assert lines[:-1] == [f"line {number}" for number in range(len(lines) - 1)]
    assert await one.stop() == 0


# --- cancel ---------------------------------------------------------------------------------------------------------


async def test_a_running_run_is_canceled(bus, launcher, tmp_path):
    launcher()
    run_id = await request_run(bus, "cancel", "waiting", tags={"file": str(tmp_path / "never")})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "waiting")
    await cancel_run(bus, run_id)
    await until_said(bus, run_id, "dagwire.run.canceled")
    # The worker hears its order by itself, and may have ended before the launcher says that the order was taken.
    assert [type_ for type_ in await types_said(bus, run_id) if type_ in TERMINAL] == ["dagwire.run.canceled"]


async def test_a_run_that_ignores_its_order_is_killed_also_by_a_launcher_that_came_later(bus, launcher):
    one = launcher(cancel_grace_seconds=1, stop_grace_seconds=0.5)
    run_id = await request_run(bus, "stubborn", "stubborn")
    await until_said(bus, run_id, "dagwire.step.started")
    await cancel_run(bus, run_id)
    await until_said(bus, run_id, "dagwire.run.canceling")
    one.kill()
    one.start()
    events = await until_said(bus, run_id)
    assert events[-1].type == "dagwire.run.dropped"
    assert events[-1].data["forced"] is True
    assert worker_pids(one.directory) == []


async def test_a_run_that_waits_is_dropped_while_the_launcher_is_away(bus, launcher):
    one = launcher(max_concurrent_runs=0)
    run_id = await request_run(bus, "waits")
    await until_said(bus, run_id, "dagwire.run.queued")
    one.kill()
    await cancel_run(bus, run_id)
    one.start()
    events = await until_said(bus, run_id)
    assert events[-1].type == "dagwire.run.dropped"
    await until_off_queue(bus, run_id)
