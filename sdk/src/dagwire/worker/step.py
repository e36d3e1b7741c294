"""Executes one step of a run from its launch message to its last event that the run worker took: its main thread."""

import os
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Final

from dagwire_shared.bus import Bus
from dagwire_shared.events import Event, StepFailed
from dagwire_shared.ids import RunId

from dagwire.execute.assigned import AssignedSteps, fail
from dagwire.execute.environment import Environment
from dagwire.execute.logs import CurrentStep, captured_logging
from dagwire.execute.messages import Assignment
from dagwire.execute.run import prepare
from dagwire.execute.streams import Capture, captured_descriptors
from dagwire.worker.arguments import Arguments, read_launch
from dagwire.worker.cancellation import Cancellation
from dagwire.worker.codes import EXIT_INTERRUPTED, EXIT_RUN_GONE, EXIT_TOLD, EXIT_UNTOLD
from dagwire.worker.ending import until_told
from dagwire.worker.job import load_job, run_info
from dagwire.worker.link import Link
from dagwire.worker.outbox import Outbox
from dagwire.worker.settings import Settings, Signals
from dagwire.worker.spool import Spool
from dagwire.worker.steps.hello import Approach
from dagwire.worker.steps.messages import Greeting, Hello
from dagwire.worker.steps.reporter import Reporter
from dagwire.worker.voice import Voice

_CLOSE_SECONDS: Final = 1.0
_CLAIM_SECONDS: Final = 30.0
"""How long a worker that was told to end waits to learn whether the step is its own."""
_LINGER_SECONDS: Final = 10.0
"""How long a step may go on that nobody hears any more; then the process ends at once."""


class StepRun:
    """One step of a run in this process."""

    def __init__(
        self, run_id: RunId, message: bytes, approach: Approach, arguments: Arguments, settings: Settings
    ) -> None:
        self._run_id = run_id
        self._message = message
        self._approach = approach
        self._arguments = arguments
        self._settings = settings
        self._spool = Spool(settings.spool_directory, limit_bytes=settings.spool_limit_bytes)
        self._outbox = Outbox(run_id, self._spool)
        self._cancellation = Cancellation(asked=self._outbox.lift_limits)
        self._voice = Voice(self._outbox, self._cancellation)
        self._withheld = False

    def main(self, link: Link, *, asked_to_end: bool = False) -> int:
        """Execute the step, and return the exit code.

        Args:
            link: at work already to ask for the step.
            asked_to_end: whether a signal came before this one could listen to it.
        """
        link.finished.add_done_callback(self._on_finished)
        link.proceed(self._work)
        current = CurrentStep()
        with ExitStack() as stack:
            stack.enter_context(captured_logging(self._emit, current))
            capture = stack.enter_context(captured_descriptors(self._emit, current))
            try:
                self._execute(link, current, capture, asked_to_end=asked_to_end)
            except BaseException as error:  # noqa: BLE001 -- the boundary: whatever it is, the step has failed by it
                fail(self._emit, self._approach.who.step_key, error, 0.0)
        self._cancellation.disarm()
        code = self._tell(link)
        link.join(_CLOSE_SECONDS)
        return code

    def _emit(self, event: Event) -> None:
        """Say an event; but not that a platform's signal failed the step: the launcher knows why it came."""
        if isinstance(event, StepFailed) and self._is_interrupted:
            self._withheld = True
        else:
            self._voice.emit(event)

    @property
    def _is_interrupted(self) -> bool:
        return self._settings.signals is Signals.INTERRUPT and self._cancellation.by_signal

    async def _work(self, bus: Bus) -> None:
        """Hand over what the step says until all of it is taken; in the link's thread."""
        await Reporter(
            bus,
            self._run_id,
            Hello(**self._approach.question),
            self._outbox,
            absence=self._approach.absence,
            on_stop=self._cancellation.request,
            ended=lambda: not self._withheld,
        ).run()

    def _on_finished(self, finished: "Future[None]") -> None:
        if (error := finished.exception()) is not None:
            self._cancellation.request(str(error))
            last_resort = threading.Timer(_LINGER_SECONDS, os._exit, [EXIT_RUN_GONE])
            last_resort.daemon = True
            last_resort.start()

    def _execute(self, link: Link, current: CurrentStep, capture: Capture, *, asked_to_end: bool) -> None:
        self._cancellation.install()
        if asked_to_end:
            self._cancellation.request("The step's worker was told to end before it began.", by_signal=True)
        environment = self._prepare()
        capture.settle()  # what the import wrote belongs to no step
        # The question was on its way while the code was imported.
        link.answered.acquire()
        link.answered.release()
        if link.ours:
            AssignedSteps(environment, current, capture).execute(self._assignment())

    def _prepare(self) -> Environment:
        order = read_launch(self._message).order
        job = load_job(order, self._arguments.pointer)
        request = order.request
        return prepare(
            job, run_info(order), request.run_config, request.preset, self._emit, self._settings.storage_directory
        )

    def _assignment(self) -> Assignment:
        greeting = Greeting.model_validate_json(self._approach.answer)
        produced = {key: frozenset(names) for key, names in greeting.produced.items()}
        return Assignment(self._approach.who.step_key, produced)

    def _tell(self, link: Link) -> int:
        """Have the run worker take the last event and all before it, and return the exit code."""
        # The lock alone does not tell: an exception may have struck between taking it and giving it back.
        if not link.claimed.done() and not link.answered.acquire(timeout=_CLAIM_SECONDS):
            return EXIT_UNTOLD
        code = link.code_without_run()
        if code is None:
            self._outbox.finish(None)
            code = until_told(link, self._outbox, seconds=self._settings.finish_timeout_seconds)
        self._spool.close()
        return EXIT_INTERRUPTED if self._withheld and code == EXIT_TOLD else code
