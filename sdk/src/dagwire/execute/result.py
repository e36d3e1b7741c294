"""What ``execute_in_process`` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagwire_shared.events import AssetMaterialized, ErrorInfo, Event, RunFailed, RunSucceeded, StepFailed, StepSkipped

from dagwire.errors import InvocationError


@dataclass(frozen=True)
class ExecuteInProcessResult:
    """How a run went, with its events and the values it produced."""

    run_id: str
    job_name: str
    events: list[Event]
    """Every event, in order; the last one says how it ended."""
    outputs: Mapping[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    """The produced values, by step key and output."""
    job_outputs: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    @property
    def success(self) -> bool:
        """Whether no step failed."""
        return bool(self.events) and isinstance(self.events[-1], RunSucceeded)

    @property
    def failure(self) -> RunFailed | None:
        """Why it failed, if it did."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, RunFailed) else None

    def output_for_node(self, node: str, output_name: str = "result") -> Any:
        """Return a value that an op produced; ``graph.op`` for one inside a graph.

        Raises:
            InvocationError: it was not produced.
        """
        if (node, output_name) not in self.outputs:
            known = ", ".join(".".join(key) for key in self.outputs) or "none"
            raise InvocationError(f"output {output_name!r} of {node!r} was not produced; produced are: {known}")
        return self.outputs[node, output_name]

    def output_value(self, output_name: str = "result") -> Any:
        """Return a value that the job's graph itself returns.

        Raises:
            InvocationError: it returns none of that name, or it was not produced.
        """
        if output_name not in self.job_outputs:
            known = ", ".join(self.job_outputs) or "none"
            raise InvocationError(f"job {self.job_name!r} returns no {output_name!r}; it returns: {known}")
        return self.output_for_node(*self.job_outputs[output_name])

    def failed_nodes(self) -> dict[str, ErrorInfo]:
        """Return the steps that failed, with why."""
        return {event.step_key: event.error for event in self.events if isinstance(event, StepFailed)}

    def skipped_nodes(self) -> dict[str, str]:
        """Return the steps that were skipped, with why."""
        return {event.step_key: event.reason for event in self.events if isinstance(event, StepSkipped)}

    def asset_materializations_for_node(self, node: str) -> list[AssetMaterialized]:
        """Return what an op said it wrote."""
        return [event for event in self.events if isinstance(event, AssetMaterialized) and event.step_key == node]
