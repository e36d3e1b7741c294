"""Runs one job from its launch message to its last acknowledged event: the worker's main thread."""

import asyncio
import logging
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from dagwire_shared.bus import Bus
from dagwire_shared.commands import LaunchRun
from dagwire_shared.events import FailureCause, RunCanceled, RunFailed, RunSucceeded
from dagwire_shared.ids import RunId

from dagwire.code import describe_exception
from dagwire.execute import Elsewhere, RunCancellation, execute_run
from dagwire.execute.environment import Environment
from dagwire.job import JobDefinition
from dagwire.worker.arguments import Arguments, read_launch
from dagwire.worker.cancellation import Cancellation
from dagwire.worker.codes import EXIT_INTERRUPTED, EXIT_TOLD, EXIT_UNTOLD
from dagwire.worker.ending import until_told
from dagwire.worker.hearing import Hearing
from dagwire.worker.job import load_job, run_info
from dagwire.worker.link import Link
from dagwire.worker.outbox import Outbox
from dagwire.worker.sender import Sender
from dagwire.worker.settings import Settings, Signals
from dagwire.worker.spool import Spool
from dagwire.worker.voice import Voice

if TYPE_CHECKING:
    from dagwire.execute.stepworker import Hire
    from dagwire.worker.steps.pods import StepPods

log = logging.getLogger(__name__)

_CLOSE_SECONDS: Final = 1.0
_CLAIM_SECONDS: Final = 30.0
"""How long a worker that was told to end waits to learn whether the run is its own."""

End = RunSucceeded | RunFailed | RunCanceled


class Run:
    """One run in this process."""

    def __init__(
        self, run_id: RunId, message: bytes, arguments: Arguments, settings: Settings, *, traceparent: str | None
    ) -> None:
        self._run_id = run_id
        self._message = message
        self._arguments = arguments
        self._settings = settings
        self._begun = time.monotonic()
        self._spool = Spool(settings.spool_directory, limit_bytes=settings.spool_limit_bytes)
        self._outbox = Outbox(run_id, self._spool, traceparent=traceparent)
        self._cancellation = Cancellation(asked=self._outbox.lift_limits)
        self._emit = Voice(self._outbox, self._cancellation).emit
        self._pods: Future[StepPods] = Future()

    def main(self, link: Link, *, asked_to_end: bool = False) -> int:
        """Run to the end, and return the exit code.

        Args:
            link: at work already to take the run.
            asked_to_end: whether a signal came before this one could listen to it.
        """
        link.finished.add_done_callback(self._on_finished)
        link.proceed(self._work)
        try:
            end = self._run(link, asked_to_end=asked_to_end)
        except RunCancellation as cancellation:  # it came while the end was being put into words
            end = self._canceled(str(cancellation))
        self._cancellation.disarm()
        code = self._code_without_run(link)
        if code is None:
            code = self._interrupt(link) if self._is_interrupted(end) else self._tell(end, link)
        link.join(_CLOSE_SECONDS)
        return code

    async def _work(self, bus: Bus) -> None:
        """Send the outbox until it is closed and empty, and hear cancel orders meanwhile; in the link's thread."""
        hearing = asyncio.create_task(Hearing(bus, self._run_id, self._cancellation.request).run())
        hearing.add_done_callback(_report)
        pods = asyncio.create_task(self._serve_pods(bus))
        try:
            await Sender(bus.streams, self._outbox).run()
        finally:
            hearing.cancel()
            pods.cancel()
            await asyncio.gather(hearing, pods, return_exceptions=True)

    async def _serve_pods(self, bus: Bus) -> None:
        pods = await asyncio.wrap_future(self._pods)
        await pods.serve(bus)

    def _crew(self, environment: Environment) -> "Hire":
        # Imported where it is needed: a run in one process pays for none of this.
        from dagwire.worker.steps.pods import StepPods  # noqa: PLC0415

        pods = StepPods(
            self._run_id,
            environment,
            self._outbox.offer,
            silence_seconds=self._settings.step_silence_seconds,
        )
        self._pods.set_result(pods)
        pods.until_ready()
        return pods.hire

    def _on_finished(self, finished: "Future[None]") -> None:
        if (error := finished.exception()) is not None:
            self._cancellation.request(f"The run cannot tell what happens in it: {error}")

    # --- the run's code -----------------------------------------------------------------------------------------

    def _run(self, link: Link, *, asked_to_end: bool) -> End:
        """Load and run the code; whatever happens is the end of the run."""
        try:
            self._cancellation.install()
            if asked_to_end:
                self._cancellation.request("The run worker was told to end before it began.", by_signal=True)
            launch = read_launch(self._message)
            job = load_job(launch.order, self._arguments.pointer)
            # The claim was on its way while the code was imported.
            link.answered.acquire()
            link.answered.release()
            return self._execute(job, launch.order) if link.ours else self._canceled("")
        except RunCancellation as cancellation:
            return self._canceled(str(cancellation))
        except BaseException as error:  # noqa: BLE001 -- the last resort: the run must not end without a word
            return self._failed(error)

    def _execute(self, job: JobDefinition, order: LaunchRun) -> End:
        request = order.request
        return execute_run(
            job,
            run=run_info(order),
            run_config=request.run_config,
            preset=request.preset,
            emit=self._emit,
            storage_directory=self._settings.storage_directory,
            elsewhere=Elsewhere(self._arguments.pointer, self._crew),
        )

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
        # The lock alone does not tell: an exception may have struck between taking it and giving it back.
        if not link.claimed.done() and not link.answered.acquire(timeout=_CLAIM_SECONDS):
            log.error("the bus was not reached, so the run was not taken")
            return EXIT_UNTOLD
        return link.code_without_run()

    def _is_interrupted(self, end: End) -> bool:
        """Return whether whoever sent the signal says how the run ended: a platform knows why it did."""
        is_interruption = self._settings.signals is Signals.INTERRUPT and self._cancellation.by_signal
        return is_interruption and isinstance(end, RunCanceled)

    def _interrupt(self, link: Link) -> int:
        """Have the bus take all but the run's end."""
        code = self._tell(None, link)
        return EXIT_INTERRUPTED if code == EXIT_TOLD else code

    def _tell(self, end: End | None, link: Link) -> int:
        """Have the bus take the last event and all before it."""
        self._outbox.finish(end)
        code = until_told(link, self._outbox, seconds=self._settings.finish_timeout_seconds)
        if code == EXIT_TOLD:
            self._spool.close()
        return code


def _report(hearing: "asyncio.Task[None]") -> None:
    """Log why orders are not heard any more; the run goes on, and SIGTERM still reaches it."""
    if not hearing.cancelled() and (error := hearing.exception()) is not None:
        log.error("cancel orders are not heard", exc_info=error)
