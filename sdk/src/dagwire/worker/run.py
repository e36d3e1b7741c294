"""Runs one job from its launch message to its last acknowledged event: the worker's main thread."""

import logging
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dagwire_shared.commands import LaunchRun
from dagwire_shared.envelope import decode
from dagwire_shared.errors import MalformedMessageError, PermissionDeniedError
from dagwire_shared.events import Event, FailureCause, RunCanceled, RunFailed, RunSucceeded
from dagwire_shared.records import CodePointer

from dagwire.code import CodeLoadError, DefinitionNotFoundError, describe_exception, load
from dagwire.execute import RunCancellation, RunInfo, execute_run
from dagwire.job import JobDefinition
from dagwire.repository import DEFAULT_REPOSITORY
from dagwire.worker.cancellation import Cancellation
from dagwire.worker.claim import Claim
from dagwire.worker.link import Connect, Errand, Link
from dagwire.worker.outbox import Outbox
from dagwire.worker.settings import Settings
from dagwire.worker.spool import Spool

log = logging.getLogger(__name__)

EXIT_TOLD: Final = 0
"""The run's end, whatever it was, is acknowledged."""
EXIT_UNTOLD: Final = 1
"""The run ended, and the bus did not take that."""
EXIT_CLAIM_LOST: Final = 75
"""Another worker has the run, or it was over before it began: this one did nothing."""
EXIT_DENIED: Final = 77
"""The credential does not let this worker speak for its run."""

_HELD_SECONDS: Final = 0.05
_PROGRESS_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
_CLAIM_SECONDS: Final = 30.0
"""How long a worker that was told to end waits to learn whether the run is its own."""

End = RunSucceeded | RunFailed | RunCanceled


@dataclass(frozen=True, slots=True)
class Launch:
    """What the launch file holds."""

    order: LaunchRun
    traceparent: str | None


def read_launch(file: Path) -> Launch:
    """Read a launch file.

    Raises:
        MalformedMessageError: it does not hold a ``LaunchRun`` message.
    """
    try:
        envelope = decode(file.read_bytes())
    except OSError as error:
        raise MalformedMessageError(f"launch file {file} cannot be read: {error.strerror}") from error
    command = envelope.command
    if not isinstance(command, LaunchRun):
        raise MalformedMessageError(f"launch file {file} holds a {envelope.type}, not a {LaunchRun.TYPE}")
    return Launch(command, envelope.traceparent)


class Run:
    """One run in this process."""

    def __init__(self, launch: Launch, pointer: CodePointer, settings: Settings) -> None:
        self._order = launch.order
        self._traceparent = launch.traceparent
        self._pointer = pointer
        self._settings = settings
        self._begun = time.monotonic()
        self._spool = Spool(settings.spool_directory, limit_bytes=settings.spool_limit_bytes)
        self._outbox = Outbox(launch.order.run_id, self._spool, traceparent=launch.traceparent)
        self._cancellation = Cancellation(asked=self._outbox.lift_limits)

    def main(self, connect: Connect, *, worker: str) -> int:
        """Run to the end, and return the exit code."""
        errand = Errand(
            run_id=self._order.run_id,
            worker=worker,
            traceparent=self._traceparent,
            connect=connect,
            on_cancel=self._cancellation.request,
        )
        link = Link(errand, self._outbox)
        self._cancellation.install()
        link.start()
        end = self._run(link)
        self._cancellation.disarm()
        code = self._code_without_run(link)
        if code is None:
            code = self._tell(end, link)
        link.join(_CLOSE_SECONDS)
        return code

    # --- the run's code -----------------------------------------------------------------------------------------

    def _run(self, link: Link) -> End:
        """Load and run the code; whatever happens is the end of the run."""
        try:
            # The claim is on its way while the code is imported.
            job = self._load()
            link.answered.acquire()
            link.answered.release()
            if isinstance(job, RunFailed) or not link.ours:
                return job if isinstance(job, RunFailed) else self._canceled("The run is not this worker's.")
            return self._execute(job)
        except RunCancellation as cancellation:
            return self._canceled(str(cancellation))
        except BaseException as error:  # noqa: BLE001 -- the last resort: the run must not end without a word
            return self._failed(error)

    def _load(self) -> JobDefinition | RunFailed:
        request = self._order.request
        try:
            code = load(self._pointer)
            repository = request.repository
            if repository == DEFAULT_REPOSITORY and len(code.repositories) == 1:
                (repository,) = code.repositories
            return code.job(repository, request.job)
        except (CodeLoadError, DefinitionNotFoundError) as error:
            return self._failed(error)

    def _execute(self, job: JobDefinition) -> End:
        request = self._order.request
        info = RunInfo(
            run_id=self._order.run_id,
            job=request.job,
            location=request.location,
            repository=request.repository,
            tags=request.tags,
            definitions_hash=request.origin.definitions_hash,
            preset=request.preset,
        )
        return execute_run(
            job,
            run=info,
            run_config=request.run_config,
            preset=request.preset,
            emit=self.emit,
            storage_directory=self._settings.storage_directory,
            pointer=self._pointer,
        )

    def emit(self, event: Event) -> None:
        """Put an event into the outbox, and hold the run while there is no room; from any thread."""
        while True:
            with self._cancellation:
                if self._outbox.offer(event):
                    return
            time.sleep(_HELD_SECONDS)

    def _failed(self, error: BaseException) -> RunFailed:
        return RunFailed(
            cause=FailureCause.RUN_ERROR,
            message=str(error) or type(error).__name__,
            error=describe_exception(error),
            seconds=self._seconds,
        )

    def _canceled(self, message: str) -> RunCanceled:
        return RunCanceled(message=self._cancellation.message or message, seconds=self._seconds)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._begun

    # --- its end ------------------------------------------------------------------------------------------------

    def _code_without_run(self, link: Link) -> int | None:
        """Return the exit code of a worker that may not say how the run ended; None: it may."""
        if not link.answered.acquire(timeout=_CLAIM_SECONDS):
            log.error("the bus was not reached, so the run was not taken")
            return EXIT_UNTOLD
        try:
            taken = link.claimed.result()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the process ends of it
            log.error("the run was not taken: %s", error)  # noqa: TRY400 -- the sentence says it all
            return _exit_code(error)
        if taken is not Claim.OURS:
            log.warning("nothing to do: %s", taken.value)
            return EXIT_CLAIM_LOST
        return None

    def _tell(self, end: End, link: Link) -> int:
        """Have the bus take the last event and all before it."""
        self._outbox.lift_limits()
        self._outbox.offer(end)
        self._outbox.close()
        deadline = time.monotonic() + self._settings.finish_timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                link.finished.result(timeout=min(left, _PROGRESS_SECONDS))
            except FutureTimeoutError:
                log.warning("the run has ended; its last events wait for the bus: %s", self._outbox.waiting)
            except Exception as error:  # noqa: BLE001 -- as above
                log.error("the run's end cannot be told: %s", error)  # noqa: TRY400 -- as above
                return _exit_code(error)
            else:
                self._spool.close()
                return EXIT_TOLD
        log.error("the bus did not take the run's last events in time: %s are lost", self._outbox.waiting)
        return EXIT_UNTOLD


def _exit_code(error: BaseException) -> int:
    return EXIT_DENIED if isinstance(error, PermissionDeniedError) else EXIT_UNTOLD
