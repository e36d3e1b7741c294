"""The multiprocess executor: independent steps at once, each in a process; which one starts when is decided here.

A process executes one step at a time and is used again, because starting one costs more than most steps
(``docs/adr/0007-multiprocess-start-method.md``).
"""

import queue
import signal
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from dagwire_shared.events import EngineNoted, StepSkipped
from dagwire_shared.records import CodePointer

from dagwire.config.model import AnyRunConfig, as_run_config
from dagwire.execute.environment import Environment
from dagwire.execute.messages import Assignment, RunCall
from dagwire.execute.processes import StepProcess
from dagwire.execute.progress import Outcome, Progress, Skip
from dagwire.executor import MultiprocessConfig
from dagwire.plan import Step

_GRACE_SECONDS: Final = 10.0
"""How long steps have to end when the run is cancelled, resources torn down included."""


@dataclass(frozen=True)
class Origin:
    """What a step process needs to come to the same environment: the code, and the config as it was given."""

    pointer: CodePointer
    run_config: AnyRunConfig
    preset: str | None


def run_in_processes(environment: Environment, origin: Origin) -> dict[str, Outcome]:
    """Execute every step that can run and return how each ended.

    Raises:
        RunCancellation: the run is to stop; all its step processes have ended.
    """
    settings = environment.resolved.execution
    if not isinstance(settings, MultiprocessConfig):  # pragma: no cover -- the executor's own config type
        raise TypeError(f"the multiprocess executor cannot be told {settings!r}")
    call = RunCall(
        origin.pointer,
        environment.run,
        as_run_config(origin.run_config),
        origin.preset,
        environment.storage_directory,
    )
    fields = {"max_concurrent": settings.limit, "reuse_processes": settings.reuse_processes}
    environment.emit(EngineNoted(message="steps run in processes of their own", fields=fields))
    run = _Run(environment, call, settings)
    try:
        return run.execute()
    except BaseException:
        run.stop_steps()
        raise
    finally:
        run.end_processes()


class _Run:
    """One run's steps and processes. All methods are called in one thread."""

    def __init__(self, environment: Environment, call: RunCall, settings: MultiprocessConfig) -> None:
        self._environment = environment
        self._call = call
        self._settings = settings
        self._progress = Progress(environment.plan)
        self._ready: deque[Step] = deque()
        self._settled: queue.SimpleQueue[tuple[StepProcess, str, Outcome]] = queue.SimpleQueue()
        self._processes: list[StepProcess] = []
        self._idle: list[StepProcess] = []
        self._busy: dict[str, StepProcess] = {}

    def execute(self) -> dict[str, Outcome]:
        """Execute all steps."""
        while len(self._progress.outcomes) < len(self._environment.plan.steps):
            self._advance()
            while self._ready and len(self._busy) < self._settings.limit:
                self._start(self._ready.popleft())
            if self._busy:
                self._take(*self._settled.get())
        return self._progress.outcomes

    def stop_steps(self) -> None:
        """Cancel the steps that run: ask, wait, then kill."""
        for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _GRACE_SECONDS)):
            for process in self._busy.values():
                process.signal(number)
            self._drain(time.monotonic() + seconds)

    def end_processes(self) -> None:
        """Let every process end, and wait for it."""
        for process in self._processes:
            process.close()
        for process in self._processes:
            process.join()

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
            process = self._idle.pop() if self._idle else self._new_process()
            self._busy[step.key] = process
            if process.execute(assignment):
                return

    def _new_process(self) -> StepProcess:
        process = StepProcess(self._call, self._environment.emit, lambda *settled: self._settled.put(settled))
        self._processes.append(process)
        return process

    def _take(self, process: StepProcess, key: str, outcome: Outcome) -> None:
        self._busy.pop(key, None)
        self._progress.settle(key, outcome)
        if self._settings.reuse_processes:
            self._idle.append(process)
        else:
            process.close()
