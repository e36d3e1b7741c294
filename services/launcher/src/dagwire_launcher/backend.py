"""The backend port: who creates run workers and step workers, watches them and ends them. No I/O here.

The words fit a local process as well as a Kubernetes Job: a worker's name follows from its run id, so that creating
it twice makes one; what was created before this launcher started is found again by ``workers``.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dagwire_shared.commands import RunCode
from dagwire_shared.events import FailureCause
from dagwire_shared.ids import RunId

from dagwire_launcher.stepname import StepOrder, StepWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrder:
    """What a worker is created from."""

    run_id: RunId
    job: str
    location: str
    message: bytes
    """The ``LaunchRun`` message as it stands on the queue."""
    code: RunCode
    """Which code it runs, and what that asks for."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that was created, living or ended."""

    run_id: RunId
    name: str
    """What the backend calls it."""
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnd:
    """How a worker ended, as far as the backend knows."""

    code: int | None = None
    """Its exit code; None when a signal ended it, or nobody knows."""
    signal: int | None = None
    pid: int | None = None
    """The process id under which it spoke, if the backend knows it."""
    cause: FailureCause | None = None
    """Why, if the backend knows; None: the worker's own doing."""
    reason: str = ""
    """What else is known, in sentences for people: what happened to it, and what to do."""


@dataclass(frozen=True, slots=True)
class WorkerDelay:
    """What keeps a worker from running. It may pass, so it is told and waited for."""

    cause: FailureCause
    """What the worker fails of if it does not pass."""
    message: str
    """For people: what it waits for, and what to do."""


class StepBackend(Protocol):
    """Where step workers live: where the worker of their run does."""

    async def create(self, order: StepOrder) -> None:
        """Create the worker of a step; if it was created before, that one is left as it is.

        Raises:
            LaunchRefusedError: it cannot be created, and asking again would not help.
            BackendUnavailableError: whether it was created is unknown; ask again.
        """
        ...

    async def workers(self) -> Sequence[StepWorker]:
        """Return every step worker that was created and not released, living or ended.

        Raises:
            BackendUnavailableError: the backend could not be asked.
        """
        ...

    async def end_of(
        self, worker: StepWorker, *, delayed: Callable[[WorkerDelay | None], None] | None = None
    ) -> WorkerEnd:
        """Wait until a worker has ended, and return how. At once if it has, or if there is none.

        Args:
            worker: the worker.
            delayed: called with what keeps the worker from running, each time that this changes; None: nothing does.
        """
        ...

    async def output_of(self, worker: StepWorker) -> str:
        """Return the last lines that an ended worker wrote; empty if they are gone. At most 16 KiB.

        Raises:
            BackendUnavailableError: the backend could not be asked.
        """
        ...

    async def stop(self, worker: StepWorker, *, force: bool) -> None:
        """Tell a worker to end (it may clean up), or with ``force`` end it and all that it started. Does not wait.

        Raises:
            BackendUnavailableError: the backend could not be asked.
        """
        ...

    async def release(self, worker: StepWorker) -> None:
        """Say that the end of this worker is settled: what is left of it may be removed in time."""
        ...


class Backend(Protocol):
    """Where run workers live."""

    @property
    def name(self) -> str:
        """What its workers are said to run on: ``process``, ``kubernetes``."""
        ...

    @property
    def trouble(self) -> str | None:
        """What keeps the backend from creating and watching workers now; None: nothing."""
        ...

    @property
    def steps(self) -> StepBackend | None:
        """Where the workers of single steps live; None: this backend makes none."""
        ...

    def open(self) -> AbstractAsyncContextManager[None]:
        """Watch, and keep house (bounded outputs, old leftovers), while the context is open."""
        ...

    async def create(self, order: WorkerOrder) -> Worker:
        """Create the worker of a run; if it was created before, return that one, be it living or ended.

        Raises:
            LaunchRefusedError: it cannot be created, and asking again would not help.
            BackendUnavailableError: whether it was created is unknown; ask again.
        """
        ...

    async def workers(self) -> Sequence[Worker]:
        """Return every worker that was created and not released, living or ended.

        Raises:
            BackendUnavailableError: the backend could not be asked.
        """
        ...

    async def end_of(self, run_id: RunId, *, delayed: Callable[[WorkerDelay | None], None] | None = None) -> WorkerEnd:
        """Wait until the worker of a run has ended, and return how. At once if it has, or if there is none.

        Args:
            run_id: the run.
            delayed: called with what keeps the worker from running, each time that this changes; None: nothing now.
        """
        ...

    async def output_of(self, run_id: RunId) -> str:
        """Return the last lines that an ended worker wrote; empty if they are gone. At most 16 KiB."""
        ...

    async def is_gone(self, run_id: RunId, name: str) -> bool:
        """Return whether a worker of this name certainly lives no more; False where this backend cannot know.

        Raises:
            BackendUnavailableError: the backend could not be asked.
        """
        ...

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        """Tell a worker to end (it may clean up), or with ``force`` end it and all that it started. Does not wait."""
        ...

    async def release(self, run_id: RunId) -> None:
        """Say that the end of this worker is settled: what is left of it may be removed in time."""
        ...
