"""Graphs as users write them: ``@graph``, and turning a graph into a job."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from dagwire.composition import source_line
from dagwire.config.model import AnyRunConfig
from dagwire.configurable import ResourceLike
from dagwire.execute.result import ExecuteInProcessResult
from dagwire.executor import ExecutorDefinition
from dagwire.job import JobDefinition, JobOptions
from dagwire.ports import GraphIn, GraphOut
from dagwire.preset import Preset
from dagwire.wiring import NodeGraph, compose


class GraphDefinition(NodeGraph):
    """Ops wired together: to be placed in jobs and graphs, or made a job."""

    def to_job(
        self,
        name: str | None = None,
        *,
        description: str | None = None,
        resource_defs: Mapping[str, ResourceLike] | None = None,
        config: AnyRunConfig = None,
        presets: Sequence[Preset] = (),
        tags: Mapping[str, Any] | None = None,
        executor_def: ExecutorDefinition | None = None,
    ) -> JobDefinition:
        """Return a job that runs this graph."""
        options = JobOptions(resource_defs or {}, config, presets, tags or self.tags, executor_def)
        return JobDefinition(self, name=name, description=description, options=options)

    def execute_in_process(
        self,
        run_config: AnyRunConfig = None,
        *,
        resources: Mapping[str, ResourceLike] | None = None,
        input_values: Mapping[str, Any] | None = None,
        raise_on_error: bool = True,
    ) -> ExecuteInProcessResult:
        """Run the graph here and now as a job of its own; see ``JobDefinition.execute_in_process``."""
        options = JobOptions(resources or {}, tags=self.tags, input_values=input_values or {})
        return JobDefinition(self, options=options).execute_in_process(run_config, raise_on_error=raise_on_error)


@overload
def graph(compose_fn: Callable[..., Any]) -> GraphDefinition: ...
@overload
def graph(
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, GraphIn] | None = None,
    out: GraphOut | Mapping[str, GraphOut] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], GraphDefinition]: ...
def graph(
    compose_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, GraphIn] | None = None,
    out: GraphOut | Mapping[str, GraphOut] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> GraphDefinition | Callable[[Callable[..., Any]], GraphDefinition]:
    """Make a graph of a function that calls ops: its parameters are the graph's inputs, what it returns its outputs.

    Args:
        compose_fn: the function, where the decorator stands without parentheses.
        name: the graph's name; the function's if not given.
        description: what it does; the docstring if not given.
        ins: more about inputs, by parameter.
        out: the names of its outputs, where there are several.
        tags: free labels; ``dagwire/kubernetes`` says what the pods of its steps shall be like.
    """

    def decorate(function: Callable[..., Any]) -> GraphDefinition:
        own = function.__name__ if name is None else name
        owner = f"graph {own!r}"
        composed = compose(function, owner, ins=ins, out=out)
        return GraphDefinition(
            own,
            composed.nodes,
            description=description or inspect.getdoc(function),
            ins=composed.ins,
            outs=composed.outs,
            out_descriptions=_descriptions(out),
            tags=tags,
            owner=owner,
            source=source_line(function),
        )

    return decorate if compose_fn is None else decorate(compose_fn)


def _descriptions(out: GraphOut | Mapping[str, GraphOut] | None) -> dict[str, str | None]:
    named = out if isinstance(out, Mapping) else {"result": out or GraphOut()}
    return {name: one.description for name, one in named.items()}
