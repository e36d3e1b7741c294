"""The process backend: a run worker is a process of this machine, detached, so that it outlives its launcher.

What it knows it reads from run directories and ``/proc``. It decides nothing about runs.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from dagwire_shared.ids import RunId

from dagwire_launcher import procfs
from dagwire_launcher.backend import Worker, WorkerDelay, WorkerEnd, WorkerOrder
from dagwire_launcher.command import command_line, environment
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.localprocess import LocalProcesses, Start, stop
from dagwire_launcher.processsteps import ProcessSteps
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
        self._processes: Final = LocalProcesses()
        self.steps: Final = ProcessSteps(self._base, self._processes, settings.credentials)

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
        run = RunDirectory(self._base, order.run_id)
        pointer = order.code.pointer
        start = Start(
            message=order.message,
            command=command_line(pointer, run.launch_file),
            working_directory=pointer.working_directory,
            environment=environment(
                os.environ, credential=self._settings.credentials.environment(run.run_id), directory=run.path
            ),
        )
        return _worker(run.run_id, await asyncio.to_thread(self._processes.create, run, start))

    async def workers(self) -> Sequence[Worker]:
        """Return the workers whose end is not settled, as the run directories tell."""
        return await asyncio.to_thread(self._workers)

    def _workers(self) -> list[Worker]:
        found = []
        for run in run_directories(self._base):
            if run.released is not None:
                continue
            record = run.record or self._processes.find(run)
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
        return await self._processes.end_of(RunDirectory(self._base, run_id))

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
        stop(RunDirectory(self._base, run_id), force=force)

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
                for directory in (run, *run.steps.values()):
                    directory.trim_output(self._settings.output_bytes)
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


def _worker(run_id: RunId, record: Record) -> Worker:
    return Worker(run_id, name=f"{socket.gethostname()}:{record.process.pid}", created=record.created)
