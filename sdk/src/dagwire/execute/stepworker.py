"""The step worker port: who executes steps outside of the run's own process, one at a time. No I/O here.

A process of the same machine is one, a pod is another; which step starts when is decided in ``parallel``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from dagwire_shared.events import ErrorInfo, Event, OutputProduced, StepFailed, StepStarted, StepSucceeded

from dagwire.execute.environment import Environment
from dagwire.execute.messages import Assignment
from dagwire.execute.progress import Outcome


class StepWorker(Protocol):
    """Executes steps of one run, one at a time."""

    def execute(self, assignment: Assignment) -> bool:
        """Give it a step; return False if it is over and cannot take it."""
        ...

    def stop(self, *, force: bool) -> None:
        """Cancel its step: ask it to end, or with ``force`` end it. Does not wait."""
        ...

    def close(self) -> None:
        """Say that there is nothing more to do; it ends by itself."""
        ...

    def join(self) -> None:
        """Wait until it has ended, if it is this process's to wait for."""
        ...


Settled: TypeAlias = Callable[[StepWorker, str, Outcome], None]
"""Is told, from any thread, that a step has ended: by the worker's word or by its death."""

Hire: TypeAlias = Callable[[Settled], StepWorker]
"""Makes a step worker."""

Crew: TypeAlias = Callable[[Environment], Hire]
"""Makes the step workers of one run."""


@dataclass
class StepRecord:
    """What a step's events have said so far."""

    key: str
    started: bool = False
    produced: set[str] = field(default_factory=set)
    succeeded: bool = False
    error: ErrorInfo | None = None

    def note(self, event: Event) -> None:
        """Take in an event of the step."""
        match event:
            case StepStarted():
                self.started = True
            case OutputProduced(output=name):
                self.produced.add(name)
            case StepSucceeded():
                self.succeeded = True
            case StepFailed(error=error):
                self.error = error
            case _:
                pass

    @property
    def told(self) -> bool:
        """Whether the step's end was said."""
        return self.succeeded or self.error is not None

    @property
    def outcome(self) -> Outcome:
        """How the step ended; what did not say that it succeeded has failed."""
        produced = frozenset(self.produced)
        if self.succeeded:
            return Outcome("succeeded", produced)
        return Outcome("failed", produced, failed_by=self.key, error=self.error)
