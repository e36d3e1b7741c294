"""What a run is executed with: the job as the engine sees it, and everything that a step gets from its surroundings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dagwire_shared.events import Event

from dagwire.config.layout import ResolvedConfig
from dagwire.config.model import AnyRunConfig
from dagwire.context import RunInfo
from dagwire.executor import ExecutorDefinition
from dagwire.plan import ExecutionPlan
from dagwire.requirements import IO_MANAGER
from dagwire.resource import ResourceDefinition
from dagwire.storage import fs_io_manager, mem_io_manager
from dagwire.wiring import NodeGraph

Emit = Callable[[Event], None]
"""Takes an event, from any thread."""


class Job(Protocol):
    """What the engine needs of a job."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def graph(self) -> NodeGraph:
        """Its graph."""

    @property
    def executor_def(self) -> ExecutorDefinition:
        """How its steps run."""

    @property
    def resource_defs(self) -> Mapping[str, ResourceDefinition]:
        """Its resources by key."""

    @property
    def input_values(self) -> Mapping[str, Any]:
        """Values of its inputs that do not come from the run config."""

    def resolve_config(self, run_config: AnyRunConfig = None, preset: str | None = None) -> ResolvedConfig:
        """Return the run config as the run gets it."""

    def plan(self, resolved: ResolvedConfig) -> ExecutionPlan:
        """Return the steps."""


@dataclass(frozen=True)
class Environment:
    """One run of one job."""

    job: Job
    run: RunInfo
    resolved: ResolvedConfig
    plan: ExecutionPlan
    emit: Emit
    storage_directory: Path
    keep: Callable[[str, str, Any], None] | None = field(default=None)
    """Is told each produced value, by step key and output; for results in the same process."""

    @property
    def resources(self) -> dict[str, ResourceDefinition]:
        """The job's resources, the IO manager of its executor included."""
        default = fs_io_manager if self.job.executor_def.isolates_steps else mem_io_manager
        return {IO_MANAGER: default, **self.job.resource_defs}
