"""The process backend with real processes, and no bus."""

import asyncio
import os
import signal
import socket
from dataclasses import replace
from datetime import timedelta

import pytest
from dagwire_launcher import procfs
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.process import ProcessBackend, ProcessSettings
from dagwire_launcher.rundir import RunDirectory
from dagwire_shared.commands import RunCode
from dagwire_shared.ids import run_id_for
from support.launching import an_order, location, until

RUN = run_id_for("k")
SECRET = "secret " * 5
GO_ON = "echo begun\nexec sleep 600\n"


@pytest.fixture
def make(tmp_path):
    """Makes backends on one directory, each as after a restart of the launcher."""

    def backend(**settings):
        return ProcessBackend(
            ProcessSettings(
                **{
                    "directory": tmp_path / "runs",
                    "credentials": WorkerCredentials(SECRET, "nats://h"),
                    "output_bytes": 10_000,
                    "keep_runs": 10,
                    "keep_for": timedelta(days=1),
                    **settings,
                }
            )
        )

    yield backend
    for run in (tmp_path / "runs").glob("*-*"):
        record = RunDirectory(tmp_path / "runs", run.name).record
        if record is not None and record.process.alive:
            os.killpg(record.process.pid, signal.SIGKILL)


@pytest.fixture
def order(tmp_path):
    """An order whose worker is a shell script."""

    def order(script, key="k"):
        executable = tmp_path / f"{key}.sh"
        executable.write_text(f"#!/bin/sh\n{script}")
        executable.chmod(0o755)
        place = location(tmp_path / "code", executable=str(executable))
        return an_order(run_id_for(key), code=RunCode(pointer=place.pointer))

    return order


def pid_of(worker):
    host, _, pid = worker.name.rpartition(":")
    assert host == socket.gethostname()
    return int(pid)


async def test_a_worker_that_exists_is_not_created_again(make, order):
    backend = make()
    first = await backend.create(order(GO_ON))
    assert await backend.create(order(GO_ON)) == first
    assert await make().create(order(GO_ON)) == first


async def test_many_that_create_one_worker_at_once_get_the_same(make, order):
    this = order(GO_ON)
    workers = await asyncio.gather(*(make().create(this) for _ in range(8)))
    assert len({one.name for one in workers}) == 1


async def test_an_ended_worker_is_not_created_again_either(make, order):
    backend = make()
    first = await backend.create(order("exit 3"))
    end = await backend.end_of(RUN)
    assert (end.code, end.signal, end.pid) == (3, None, pid_of(first))
    assert await backend.create(order("exit 0")) == first


async def test_the_end_by_a_signal_and_the_last_words_are_known(make, order):
    backend = make()
    await backend.create(order("echo last words >&2\nkill -SEGV $$"))
    end = await backend.end_of(RUN)
    assert (end.code, end.signal) == (None, signal.SIGSEGV)
    assert await backend.output_of(RUN) == "last words\n"


async def test_after_a_restart_a_worker_is_found_and_its_end_is_seen(make, order):
    worker = await make().create(order(GO_ON))
    backend = make()
    (found,) = await backend.workers()
    assert found == worker
    waiting = asyncio.create_task(backend.end_of(RUN))
    await backend.stop(RUN, force=False)
    end = await waiting
    assert (end.code, end.signal, end.pid) == (None, None, pid_of(worker))


async def test_a_worker_that_nobody_noted_is_found_by_its_command_line(make, order, tmp_path):
    backend = make()
    worker = await backend.create(order("echo begun\nsleep 600 & wait"))

    async def begun():  # before, the kernel may not know its command line yet
        return await backend.output_of(RUN)

    await until(begun, what="the worker runs")
    (tmp_path / "runs" / RUN / "worker.json").unlink()
    assert (await make().create(order(GO_ON))).name == worker.name


async def test_a_released_worker_is_none_any_more(make, order):
    backend = make()
    await backend.create(order("exit 0"))
    await backend.end_of(RUN)
    await backend.release(RUN)
    assert list(await make().workers()) == []


async def test_what_a_worker_leaves_behind_ends_with_it(make, order, tmp_path):
    backend = make()
    await backend.create(order(f"sleep 600 &\necho $! > {tmp_path}/child\nexit 0"))
    await backend.end_of(RUN)
    child = int((tmp_path / "child").read_text())
    await until(lambda: _gone(child), what="the child is gone")


async def _gone(pid):
    process = procfs.identify(pid)
    return process is None or not process.alive


async def test_a_stubborn_worker_and_its_children_end_by_force(make, order, tmp_path):
    backend = make()
    worker = await backend.create(
        order(f"trap '' TERM\nsleep 600 &\necho $! > {tmp_path}/child\nwhile :; do wait; done")
    )
    await until(lambda: _exists(tmp_path / "child"), what="the child began")
    await backend.stop(RUN, force=False)
    assert procfs.identify(pid_of(worker)).alive
    await backend.stop(RUN, force=True)
    assert (await backend.end_of(RUN)).signal == signal.SIGKILL
    await until(lambda: _gone(int((tmp_path / "child").read_text())), what="the child is gone")


async def _exists(path):
    return path.exists() and path.read_text().strip() != ""


async def test_a_pid_that_is_anothers_by_now_is_left_alone(make, order, tmp_path):
    await make().create(order("exit 0"))
    run = RunDirectory(tmp_path / "runs", RUN)
    stranger = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    try:
        # The worker that had this pid began earlier.
        older = replace(procfs.identify(stranger.pid), start_time=1)
        run.write_record(replace(run.record, process=older))
        backend = make()
        await backend.stop(RUN, force=False)
        await backend.stop(RUN, force=True)
        assert (await backend.end_of(RUN)).code is None
        assert stranger.returncode is None
        assert procfs.identify(stranger.pid).alive
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_run_of_another_start_of_the_machine_has_ended(make, order, tmp_path):
    worker = await make().create(order(GO_ON))
    run = RunDirectory(tmp_path / "runs", RUN)
    note = (run.path / "worker.json").read_text()
    (run.path / "worker.json").write_text(note.replace(procfs.boot_id(), "another"))
    end = await make().end_of(RUN)
    assert end.code is None
    assert procfs.identify(pid_of(worker)).alive
    os.killpg(pid_of(worker), signal.SIGKILL)


async def test_only_a_worker_of_this_machine_can_be_said_to_be_gone(make, order):
    backend = make()
    worker = await backend.create(order("sleep 600 & wait"))
    assert not await backend.is_gone(RUN, worker.name)
    await backend.stop(RUN, force=True)
    await backend.end_of(RUN)
    assert await backend.is_gone(RUN, worker.name)
    assert not await backend.is_gone(RUN, "elsewhere:1")


@pytest.mark.parametrize("broken", ["executable", "directory"])
async def test_what_can_never_start_is_refused_and_leaves_nothing(make, order, tmp_path, broken):
    this = order(GO_ON)
    changes = {"executable": "/no/python"} if broken == "executable" else {"working_directory": str(tmp_path / "no")}
    pointer = this.code.pointer.model_copy(update=changes)
    with pytest.raises(LaunchRefusedError, match=next(iter(changes.values()))):
        await make().create(an_order(RUN, code=RunCode(pointer=pointer)))
    assert not (tmp_path / "runs" / RUN).exists()


async def test_a_worker_without_end_of_words_is_kept_within_bounds(make, order, tmp_path, monkeypatch):
    monkeypatch.setattr("dagwire_launcher.process._HOUSEKEEPING_SECONDS", 0.01)
    backend = make()
    file = tmp_path / "runs" / RUN / "output.log"
    async with backend.open():
        await backend.create(order("while :; do echo 0123456789012345678901234567890123456789; sleep 0.001; done"))

        async def cut():
            size = file.stat().st_size
            return seen.append(size) or (len(seen) > 1 and seen[-1] < seen[-2])

        seen: list[int] = []
        await until(cut, what="the output is cut")
        assert max(seen) < 100_000
    await backend.stop(RUN, force=True)
    await backend.end_of(RUN)
    assert (await backend.output_of(RUN)).splitlines()[-1] == "0123456789" * 4


async def test_a_worker_reads_nothing_and_starts_where_its_code_is(make, order, tmp_path):
    backend = make()
    await backend.create(order("pwd; cat; echo read; env | grep DAGWIRE_ | sort"))
    await backend.end_of(RUN)
    lines = (await backend.output_of(RUN)).splitlines()
    assert lines[:2] == [str(tmp_path / "code"), "read"]
    for variable, value in WorkerCredentials(SECRET, "nats://h").environment(RUN).items():
        assert f"{variable}={value}" in lines
    assert f"DAGWIRE_WORKER_SPOOL_DIRECTORY={tmp_path}/runs/{RUN}/spool" in lines


async def test_a_kernel_without_process_handles_will_do(make, order, monkeypatch):
    def refuse(pid, flags=0):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    monkeypatch.setattr("dagwire_launcher.process._POLL_SECONDS", 0.01)
    backend = make()
    await backend.create(order("exit 4"))
    assert (await backend.end_of(RUN)).code == 4
