"""One worker as a process of this machine, in a directory of its own: started once, found again, waited for, ended.

What it knows it reads from the directory and ``/proc``. What the process is for is others' business.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dagwire_shared.events import FailureCause

from dagwire_launcher import procfs
from dagwire_launcher.backend import WorkerEnd
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.rundir import Record, WorkerDirectory

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5
"""How often a process is looked at where the kernel has no pidfds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a process is started with."""

    message: bytes
    """The launch message, which it finds in its directory."""
    command: Sequence[str]
    working_directory: str
    environment: Mapping[str, str]


class LocalProcesses:
    """The processes that this launcher started, and those that an earlier one did."""

    def __init__(self) -> None:
        # A Popen that is forgotten would let any later one reap its process, and the exit code with it.
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def create(self, directory: WorkerDirectory, start: Start) -> Record:
        """Start the process of a directory, or return the one that was started before.

        Raises:
            LaunchRefusedError: there is no such program or working directory.
            BackendUnavailableError: it cannot be started now.
        """
        try:
            with directory.locked():
                return directory.record or self.find(directory) or self._spawn(directory, start)
        except OSError as error:
            raise BackendUnavailableError(f"directory {directory.path} cannot be written: {error}") from error

    def find(self, directory: WorkerDirectory) -> Record | None:
        """Find a process whose launcher died before it noted which one it is."""
        if not directory.launch_file.exists():
            return None
        process = procfs.find_leader(str(directory.launch_file))
        return None if process is None else _note(directory, process)

    def _spawn(self, directory: WorkerDirectory, start: Start) -> Record:
        directory.write_launch(start.message)
        output = os.open(directory.output_file, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            child = _popen(directory, start, output)
        finally:
            os.close(output)
        self._children[directory.path] = child
        process = procfs.identify(child.pid)
        if process is None:  # pragma: no cover -- a child stays until it is waited for, which only end_of does
            raise BackendUnavailableError(f"process {child.pid} is not in /proc")
        return _note(directory, process)

    async def end_of(self, directory: WorkerDirectory) -> WorkerEnd:
        """Wait for the end of a directory's process, and end what it may have left behind."""
        record = directory.record
        if record is None:
            return WorkerEnd(reason="It has no process on this machine.")
        child = self._children.get(directory.path)
        await _ended(record.process, child)
        # Before the process is waited for, while its number cannot be anybody else's.
        _kill_group(record.process)
        code = None if child is None else child.wait()
        self._children.pop(directory.path, None)
        return _end(record, code)


def stop(directory: WorkerDirectory, *, force: bool) -> None:
    """Send SIGTERM to a directory's process, or SIGKILL to it and all that it started."""
    record = directory.record
    if record is None or not record.process.alive:
        return
    if force:
        _kill_group(record.process)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.process.pid, signal.SIGTERM)


def _popen(directory: WorkerDirectory, start: Start, output: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(start.command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=start.working_directory,
            env=start.environment,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        directory.remove()
        raise LaunchRefusedError(
            f"No worker can be started for the code location: {error.strerror}: {error.filename}."
            " Look at the Python and the working directory that its code server reports."
        ) from error
    except OSError as error:
        raise BackendUnavailableError(f"no process can be started now: {error}") from error


def _note(directory: WorkerDirectory, process: procfs.Process) -> Record:
    record = Record(process, datetime.now(UTC), procfs.out_of_memory_kills())
    directory.write_record(record)
    return record


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
