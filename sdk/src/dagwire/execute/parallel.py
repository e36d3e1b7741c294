"""Independent steps at once, each on a step worker; which one starts when is decided here.

What a step worker is, a process or a pod, is decided by who calls.
"""

import queue
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from dagwire_shared.events import StepSkipped

from dagwire.execute.environment import Environment
from dagwire.execute.messages import Assignment
from dagwire.execute.progress import Outcome, Progress, Skip
from dagwire.execute.stepworker import Hire, StepWorker
from dagwire.plan import Step

_GRACE_SECONDS: Final = 10.0
"""How long steps have to end when the run is cancelled, resources torn down included."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How steps are spread over step workers."""

    limit: int | None
    """How many steps run at once; None: as many as are ready."""
    reuse: bool
    """Whether a worker executes one step after another."""


def run_in_parallel(environment: Environment, hire: Hire, pace: Pace) -> dict[str, Outcome]:
    """Execute every step that can run and return how each ended.

    Raises:
        RunCancellation: the run is to stop; all its steps have ended.
    """
    run = _Run(environment, hire, pace)
    try:
        return run.execute()
    except BaseException:
        run.stop_steps()
        raise
    finally:
        run.end_workers()


class _Run:
    """One run's steps and their workers. All methods are called in one thread."""

    def __init__(self, environment: Environment, hire: Hire, pace: Pace) -> None:
        self._environment: Final = environment
        self._hire: Final = hire
        self._pace: Final = pace
        self._progress = Progress(environment.plan)
        self._ready: deque[Step] = deque()
        self._settled: queue.SimpleQueue[tuple[StepWorker, str, Outcome]] = queue.SimpleQueue()
        self._workers: list[StepWorker] = []
        self._idle: list[StepWorker] = []
        self._busy: dict[str, StepWorker] = {}

    def execute(self) -> dict[str, Outcome]:
        """Execute all steps."""
        while len(self._progress.outcomes) < len(self._environment.plan.steps):
            self._advance()
            while self._ready and self._has_room:
                self._start(self._ready.popleft())
            if self._busy:
                self._take(*self._settled.get())
        return self._progress.outcomes

    @property
    def _has_room(self) -> bool:
        return self._pace.limit is None or len(self._busy) < self._pace.limit

    def stop_steps(self) -> None:
        """Cancel the steps that run: ask, wait, then end them."""
        for force in (False, True):
            for worker in self._busy.values():
                worker.stop(force=force)
            self._drain(time.monotonic() + _GRACE_SECONDS)

    def end_workers(self) -> None:
        """Let every worker end, and wait for it."""
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.join()

    def _drain(self, deadline: float) -> None:
        while self._busy and (seconds := deadline - time.monotonic()) > 0:
            try:
                self._take(*self._settled.get(timeout=seconds))
            except queue.Empty:
                return

    def _advance(self) -> None:
        for item in self._progress.advance():
            if isinstance(item, Skip):
                self._environment.emit(StepSkipped(step_key=item.step.key, reason=item.reason))
            else:
                self._ready.append(item)

    def _start(self, step: Step) -> None:
        produced = {key: self._progress.outcomes[key].produced for key in step.depends_on}
        assignment = Assignment(step.key, produced)
        while True:
            worker = self._idle.pop() if self._idle else self._new_worker()
            self._busy[step.key] = worker
            if worker.execute(assignment):
                return

    def _new_worker(self) -> StepWorker:
        worker = self._hire(lambda *settled: self._settled.put(settled))
        self._workers.append(worker)
        return worker

    def _take(self, worker: StepWorker, key: str, outcome: Outcome) -> None:
        self._busy.pop(key, None)
        self._progress.settle(key, outcome)
        if self._pace.reuse:
            self._idle.append(worker)
        else:
            worker.close()
