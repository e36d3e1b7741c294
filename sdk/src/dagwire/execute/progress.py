"""Which steps may run next, and which never will. Pure: it is told outcomes and decides."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dagwire_shared.events.values import ErrorInfo

from dagwire.plan.steps import ExecutionPlan, FromOutput, FromOutputs, Step


@dataclass(frozen=True)
class Outcome:
    """How a step ended."""

    status: Literal["succeeded", "failed", "skipped"]
    produced: frozenset[str] = frozenset()
    """The outputs that exist."""
    failed_by: str | None = None
    """The failed step that is the reason, the step itself included; None: no failure is involved."""
    error: ErrorInfo | None = None


@dataclass(frozen=True)
class Skip:
    """A step that will not run, and why."""

    step: Step
    reason: str


class Progress:
    """The state of a run's steps."""

    def __init__(self, plan: ExecutionPlan) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._steps = plan.steps
        self._unsettled = [len(step.depends_on) for step in plan.steps]
        self._followers: dict[str, list[int]] = {step.key: [] for step in plan.steps}
        for number, step in enumerate(plan.steps):
            for key in step.depends_on:
                self._followers[key].append(number)
        self._open = [number for number, count in enumerate(self._unsettled) if count == 0]
        """A heap of the steps that wait for nothing any more: the first of the plan goes first."""

    def settle(self, key: str, outcome: Outcome) -> None:
        """Take note of how a step ended."""
        self.outcomes[key] = outcome
        for number in self._followers[key]:
            self._unsettled[number] -= 1
            if self._unsettled[number] == 0:
                heapq.heappush(self._open, number)

    def advance(self) -> Iterator[Step | Skip]:
        """Yield what follows from the outcomes so far: steps to be started, and steps that are skipped; each once."""
        while self._open:
            step = self._steps[heapq.heappop(self._open)]
            skipped = self._skipped(step)
            if skipped is None:
                yield step
            else:
                self.settle(step.key, Outcome("skipped", failed_by=skipped[1]))
                yield Skip(step, skipped[0])

    def available(self, source: FromOutput) -> bool:
        """Return whether an output exists."""
        outcome = self.outcomes.get(source.step)
        return outcome is not None and source.output in outcome.produced

    def _skipped(self, step: Step) -> tuple[str, str | None] | None:
        """Return why a step cannot run, and the failed step behind it; None if it can."""
        for one in step.upstream:
            failed_by = self.outcomes[one.step].failed_by
            if failed_by is not None:
                return _because_failed(one.step, failed_by), failed_by
        for source in step.inputs.values():
            match source:
                case FromOutput() if not self.available(source):
                    return self._absent(source), None
                case FromOutputs(sources) if sources:
                    absent = [one for one in sources if isinstance(one, FromOutput) and not self.available(one)]
                    if len(absent) == len(sources):
                        return "; ".join(self._absent(one) for one in absent), None
                case _:
                    pass
        return None

    def _absent(self, source: FromOutput) -> str:
        if self.outcomes[source.step].status == "skipped":
            return f"upstream step {source.step!r} was skipped"
        return f"output {source.output!r} of {source.step!r} was not produced"


def _because_failed(step: str, failed_by: str) -> str:
    if step == failed_by:
        return f"upstream step {step!r} failed"
    return f"upstream step {step!r} did not run because {failed_by!r} failed"
