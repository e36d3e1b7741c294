"""Plans: from a job's graph to the steps of a run, in order. Pure."""

from dagwire.plan.steps import (
    ExecutionPlan,
    FromConfig,
    FromDefault,
    FromOutput,
    FromOutputs,
    InputSource,
    Step,
    make_plan,
    outputs_of,
)

__all__ = [
    "ExecutionPlan",
    "FromConfig",
    "FromDefault",
    "FromOutput",
    "FromOutputs",
    "InputSource",
    "Step",
    "make_plan",
    "outputs_of",
]
