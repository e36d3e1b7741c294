"""A request becomes a run, with real processes and a real NATS server."""

import asyncio
import json
import os
import signal

from dagwire_shared.ids import run_id_for
from dagwire_shared.jetstream import connect
from support.launching import (
    a_request,
    counts,
    location,
    request_message,
    request_run,
    said,
    serve,
    types_said,
    until,
    until_off_queue,
    until_said,
    worker_pids,
)


def began(events):
    return [one.type for one in events].count("dagwire.step.started")


async def test_a_requested_run_is_launched_and_told_from_queue_to_end(bus, launcher):
    one = launcher()
    run_id = await request_run(bus, "first")
    await until_said(bus, run_id)
    await until_off_queue(bus, run_id)
    events = await said(bus, run_id)
    types = [event.type for event in events]
    assert types[0] == "dagwire.run.queued"
    assert types.count("dagwire.run.launched") == types.count("dagwire.run.started") == 1
    assert types[-1] == "dagwire.run.succeeded"
    assert max(counts(events).values()) == 1
    launched = events[types.index("dagwire.run.launched")]
    started = events[types.index("dagwire.run.started")]
    assert launched.data == {"backend": "process", "worker": f"{started.data['host']}:{started.data['pid']}"}
    assert await one.stop() == 0


async def test_a_hundred_requests_of_ten_clients_under_one_key_make_one_run(server, bus, launcher, tmp_path):
    launcher("a")
    launcher("b", directory=tmp_path / "other")

    async def client(number):
        async with connect(server.url, name=f"client {number}") as mine:
            for attempt in range(10):
                message = request_message(a_request("same"), message_id=f"{number}-{attempt}")
                await mine.streams.publish(message)

    await asyncio.gather(*(client(number) for number in range(10)))
    run_id = run_id_for("same")
    await until_said(bus, run_id)
    await until_off_queue(bus, run_id)
    types = await types_said(bus, run_id)
    for word in ("queued", "launched", "started", "succeeded"):
        assert types.count(f"dagwire.run.{word}") == 1


async def test_two_launchers_give_each_run_one_worker_though_one_of_them_was_frozen(bus, launcher, tmp_path):
    one, two = launcher("a", directory=tmp_path / "one"), launcher("b", directory=tmp_path / "two")
    runs = [await request_run(bus, f"before {number}") for number in range(3)]
    for run_id in runs:
        await until_said(bus, run_id)
    acting, standby = (one, two) if "launcher acts" in one.text() else (two, one)
    acting.pause()
    frozen = [await request_run(bus, f"frozen {number}") for number in range(5)]
    for run_id in frozen:
        await until_said(bus, run_id)
    assert "launcher acts" in standby.text()
    # It still believes that it acts, and has requests and a queue of its own to catch up with.
    acting.resume()
    after = [await request_run(bus, f"after {number}") for number in range(5)]
    for run_id in [*frozen, *after]:
        events = await until_said(bus, run_id)
        await until_off_queue(bus, run_id)
        assert began(events) == 1
        assert max(counts(await said(bus, run_id)).values()) == 1


async def test_a_worker_is_a_session_of_its_own_and_its_files_are_for_the_owner_only(bus, launcher, tmp_path):
    one = launcher()
    file = tmp_path / "go"
    run_id = await request_run(bus, "files", "waiting", tags={"file": str(file)})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "waiting")
    (pid,) = worker_pids(one.directory)
    assert os.getsid(pid) == pid
    assert (one.directory / run_id).stat().st_mode & 0o777 == 0o700
    assert json.loads((one.directory / run_id / "launch.json").read_bytes())["subject"] == run_id
    file.touch()
    await until_said(bus, run_id)
    await until(lambda: _is_file(one.directory / run_id / "released"), what="the directory may go")


async def _is_file(path):
    return path.is_file()


async def test_directories_of_ended_runs_are_pruned(bus, launcher):
    one = launcher(keep_runs=2)
    runs = [await request_run(bus, f"run {number}") for number in range(5)]
    for run_id in runs:
        await until_said(bus, run_id)

    async def pruned():
        return len([path for path in one.directory.iterdir() if path.is_dir()]) == 2

    await until(pruned, what="two directories are left")


async def test_a_launcher_that_ends_with_its_workers_cancels_their_runs(bus, launcher, tmp_path):
    one = launcher(end_workers_on_stop=True)
    run_id = await request_run(bus, "ending", "waiting", tags={"file": str(tmp_path / "never")})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "waiting")
    assert await one.stop() == 0
    assert (await types_said(bus, run_id))[-1] == "dagwire.run.canceled"
    assert worker_pids(one.directory) == []


async def test_a_worker_that_cannot_be_started_loses_its_run_with_the_reason(bus, launcher, tmp_path):

    await serve(bus, location(tmp_path / "code", executable="/no/such/python"))
    launcher()
    run_id = await request_run(bus, "nopython")
    events = await until_said(bus, run_id)
    assert events[-1].data["cause"] == "launch_refused"
    assert "/no/such/python" in events[-1].data["message"]


async def test_wrong_settings_end_the_launcher_with_code_2(launcher):
    one = launcher(max_concurrent_runs="many")
    assert await asyncio.to_thread(one._process.wait, 20) == 2
    assert "DAGWIRE_LAUNCHER_MAX_CONCURRENT_RUNS" in one.text()
    assert "Traceback" not in one.text()


async def test_a_signal_ends_a_launcher_and_its_workers_live_on(bus, launcher, tmp_path):
    one = launcher()
    file = tmp_path / "go"
    run_id = await request_run(bus, "survivor", "waiting", tags={"file": str(file)})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "waiting")
    one._process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(one._process.wait, 20) == 0
    (pid,) = worker_pids(one.directory)
    file.touch()
    await until_said(bus, run_id, "dagwire.run.succeeded")
    one.start()
    await until(lambda: _is_file(one.directory / run_id / "released"), what="the worker was found and settled")
    assert pid
