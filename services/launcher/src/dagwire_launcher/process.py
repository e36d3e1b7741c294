"""The process backend: a run worker is a process of this machine, detached, so that it outlives its launcher.

What it knows it reads from run directories and ``/proc``. It decides nothing about runs.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from dagwire_shared.events import FailureCause
from dagwire_shared.ids import RunId
from dagwire_shared.records import CodePointer

from dagwire_launcher import procfs
from dagwire_launcher.backend import Worker, WorkerDelay, WorkerEnd, WorkerOrder
from dagwire_launcher.command import command_line, environment
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.rundir import Record, RunDirectory, run_directories
from dagwire_launcher.settings import Settings
from dagwire_launcher.surplus import surplus

log = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.5
"""How often a process is looked at where the kernel has no pidfds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """What the process backend needs to know."""

    directory: Path
    credentials: WorkerCredentials
    output_bytes: int
    keep_runs: int
    keep_for: timedelta


class ProcessBackend:
    """Run workers as local processes."""

    name = "process"
    trouble = None
    """A process is created by the kernel: what is wrong with one is that one's."""

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._base = settings.directory.resolve()
        # A Popen that is forgotten would let any later one reap its process, and the exit code with it.
        self._children: dict[RunId, subprocess.Popen[bytes]] = {}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Keep outputs and leftovers bounded while the context is open."""
        self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
        house = asyncio.create_task(self._keep_house())
        try:
            yield
        finally:
            house.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await house

    async def create(self, order: WorkerOrder) -> Worker:
        """Start the worker of a run, or return the one that was started before."""
        return await asyncio.to_thread(self._create, order)

    def _create(self, order: WorkerOrder) -> Worker:
        run = RunDirectory(self._base, order.run_id)
        try:
            with run.locked():
                record = run.record or self._find(run) or self._spawn(run, order)
        except OSError as error:
            raise BackendUnavailableError(f"the directory of run {order.run_id} cannot be written: {error}") from error
        return _worker(run.run_id, record)

    def _find(self, run: RunDirectory) -> Record | None:
        """Find a worker whose launcher died before it noted which process it is."""
        if not run.launch_file.exists():
            return None
        process = procfs.find_leader(str(run.launch_file))
        return None if process is None else _note(run, process)

    def _spawn(self, run: RunDirectory, order: WorkerOrder) -> Record:
        run.write_launch(order.message)
        output = os.open(run.output_file, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            child = self._popen(run, order.code.pointer, output)
        finally:
            os.close(output)
        self._children[run.run_id] = child
        process = procfs.identify(child.pid)
        if process is None:  # pragma: no cover -- a child stays until it is waited for, which only end_of does
            raise BackendUnavailableError(f"process {child.pid} is not in /proc")
        return _note(run, process)

    def _popen(self, run: RunDirectory, pointer: CodePointer, output: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command_line(pointer, run.launch_file),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=pointer.working_directory,
                env=environment(
                    os.environ, credential=self._settings.credentials.environment(run.run_id), directory=run.path
                ),
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            run.remove()
            raise LaunchRefusedError(
                f"No worker can be started for the code location: {error.strerror}: {error.filename}."
                " Look at the Python and the working directory that its code server reports."
            ) from error
        except OSError as error:
            raise BackendUnavailableError(f"no process can be started now: {error}") from error

    async def workers(self) -> Sequence[Worker]:
        """Return the workers whose end is not settled, as the run directories tell."""
        return await asyncio.to_thread(self._workers)

    def _workers(self) -> list[Worker]:
        found = []
        for run in run_directories(self._base):
            if run.released is not None:
                continue
            record = run.record or self._find(run)
            if record is not None:
                found.append(_worker(run.run_id, record))
        return found

    async def end_of(
        self,
        run_id: RunId,
        *,
        delayed: Callable[[WorkerDelay | None], None] | None = None,  # noqa: ARG002 -- nothing delays a process
    ) -> WorkerEnd:
        """Wait for the end of the run's process, and end what it may have left behind."""
        run = RunDirectory(self._base, run_id)
        record = run.record
        if record is None:
            return WorkerEnd(reason="It has no process on this machine.")
        child = self._children.get(run_id)
        await _ended(record.process, child)
        # Before the process is waited for, while its number cannot be anybody else's.
        _kill_group(record.process)
        code = None if child is None else child.wait()
        self._children.pop(run_id, None)
        return _end(record, code)

    async def output_of(self, run_id: RunId) -> str:
        """Return the end of the output file."""
        return await asyncio.to_thread(lambda: RunDirectory(self._base, run_id).output)

    async def is_gone(self, run_id: RunId, name: str) -> bool:
        """Return whether the process is gone; one of another machine cannot be looked at."""
        if name.partition(":")[0] != socket.gethostname():
            return False
        return await asyncio.to_thread(procfs.find_leader, run_id) is None

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        """Send SIGTERM to the run's process, or SIGKILL to it and all that it started."""
        record = RunDirectory(self._base, run_id).record
        if record is None or not record.process.alive:
            return
        if force:
            _kill_group(record.process)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.process.pid, signal.SIGTERM)

    async def release(self, run_id: RunId) -> None:
        """Let the run's directory be pruned in time."""
        await asyncio.to_thread(RunDirectory(self._base, run_id).release)

    async def _keep_house(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._tidy)
            except OSError as error:
                log.warning("run directories could not be tidied: %s", error)
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)

    def _tidy(self) -> None:
        released: list[tuple[datetime, RunDirectory]] = []
        for run in run_directories(self._base):
            at = run.released
            if at is None:
                run.trim_output(self._settings.output_bytes)
            else:
                released.append((at, run))
        for run in surplus(released, keep=self._settings.keep_runs, since=datetime.now(UTC) - self._settings.keep_for):
            run.remove()


def make_backend(settings: Settings) -> ProcessBackend:
    """Return the backend, as the launcher's settings want it."""
    return ProcessBackend(
        ProcessSettings(
            directory=settings.directory,
            credentials=settings.credentials,
            output_bytes=settings.output_bytes,
            keep_runs=settings.keep_runs,
            keep_for=timedelta(days=settings.keep_days),
        )
    )


def _note(run: RunDirectory, process: procfs.Process) -> Record:
    record = Record(process, datetime.now(UTC), procfs.out_of_memory_kills())
    run.write_record(record)
    return record


def _worker(run_id: RunId, record: Record) -> Worker:
    return Worker(run_id, name=f"{socket.gethostname()}:{record.process.pid}", created=record.created)


def _end(record: Record, code: int | None) -> WorkerEnd:
    killed = -code if code is not None and code < 0 else None
    out_of_memory = killed == signal.SIGKILL and procfs.out_of_memory_kills() > record.out_of_memory_kills
    return WorkerEnd(
        code=code if killed is None else None,
        signal=killed,
        pid=record.process.pid,
        cause=FailureCause.OUT_OF_MEMORY if out_of_memory else None,
        reason="The machine ran out of memory while it ran: give the run more, or let it use less."
        if out_of_memory
        else "",
    )


def _kill_group(process: procfs.Process) -> None:
    """End a worker's process group, which bears its pid: nothing may be left of it."""
    if not process.number_taken:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


async def _ended(process: procfs.Process, child: subprocess.Popen[bytes] | None) -> None:
    """Wait until a process has ended; a child of ours is left to be waited for."""
    try:
        handle = os.pidfd_open(process.pid) if child is not None else procfs.open_handle(process)
    except OSError as error:
        log.info("the kernel gives no handles of processes, so they are looked at: %s", error)
        await _poll(lambda: process.alive)
        return
    if handle is None:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def _poll(alive: Callable[[], bool]) -> None:
    while alive():  # noqa: ASYNC110 -- nobody tells of a process's end here
        await asyncio.sleep(_POLL_SECONDS)
