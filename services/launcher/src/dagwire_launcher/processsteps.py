"""The step backend of the process backend: a step's worker is a process of this machine, beside that of its run.

They share the run's directory, and with it the storage of outputs. Nothing but the executor's ``max_concurrent``
limits how many there are.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dagwire_shared.ids import RunId

from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.command import command_line, environment, for_step
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.localprocess import LocalProcesses, Start, stop
from dagwire_launcher.rundir import RunDirectory, WorkerDirectory, run_directories
from dagwire_launcher.stepname import StepOrder, StepWorker
from dagwire_launcher.workerorder import order_again


class ProcessSteps:
    """Step workers as local processes: see ``backend.StepBackend``."""

    def __init__(self, base: Path, processes: LocalProcesses, credentials: WorkerCredentials) -> None:
        self._base = base
        self._processes: Final = processes
        self._credentials: Final = credentials

    async def create(self, order: StepOrder) -> None:
        """Start the worker of a step, unless that was done."""
        await asyncio.to_thread(self._create, order)

    def _create(self, order: StepOrder) -> None:
        run = RunDirectory(self._base, order.name.run_id)
        step = run.step(order.name.worker)
        message = _launch_message(run)
        pointer = order_again(message).code.pointer
        command = for_step(command_line(pointer, step.launch_file), order.name.step_key, order.name.attempt)
        start = Start(
            message=message,
            command=command,
            working_directory=pointer.working_directory,
            environment=environment(
                os.environ, credential=self._credentials.environment(run.run_id), directory=run.path
            ),
        )
        self._processes.create(step, start)

    async def workers(self) -> Sequence[StepWorker]:
        """Return the step workers that are not released, as the run directories tell."""
        return await asyncio.to_thread(self._workers)

    def _workers(self) -> list[StepWorker]:
        return [
            StepWorker(run.run_id, name)
            for run in run_directories(self._base)
            for name, step in run.steps.items()
            if step.released is None and (step.record or self._processes.find(step)) is not None
        ]

    async def end_of(
        self,
        worker: StepWorker,
        *,
        delayed: Callable[[WorkerDelay | None], None] | None = None,  # noqa: ARG002 -- nothing delays a process
    ) -> WorkerEnd:
        """Wait for the end of a step's process, and end what it may have left behind."""
        return await self._processes.end_of(self._directory(worker))

    async def output_of(self, worker: StepWorker) -> str:
        """Return the end of the output file."""
        return await asyncio.to_thread(lambda: self._directory(worker).output)

    async def stop(self, worker: StepWorker, *, force: bool) -> None:
        """Send SIGTERM to a step's process, or SIGKILL to it and all that it started."""
        stop(self._directory(worker), force=force)

    async def release(self, worker: StepWorker) -> None:
        """Note that the worker's end is settled; its directory goes with that of its run."""
        await asyncio.to_thread(self._directory(worker).release)

    def _directory(self, worker: StepWorker) -> WorkerDirectory:
        return RunDirectory(self._base, RunId(worker.run_id)).step(worker.name)


def _launch_message(run: RunDirectory) -> bytes:
    try:
        return run.launch_file.read_bytes()
    except OSError as error:
        raise LaunchRefusedError(f"The run has no directory on this machine any more: {error}") from error
