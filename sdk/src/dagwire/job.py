"""Jobs: a graph with its resources, presets, tags and executor, checked as a whole when it is defined."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, overload

from dagwire.composition import valid_name
from dagwire.config.layout import ResolvedConfig, layout, resolve
from dagwire.config.model import AnyRunConfig, as_run_config, merge_config
from dagwire.config.tree import Section, check, defaults, json_schema
from dagwire.configurable import ResourceLike, as_resource
from dagwire.errors import ConfigFault, DefinitionError, InvalidConfigError
from dagwire.execute.local import run_in_process
from dagwire.execute.result import ExecuteInProcessResult
from dagwire.executor import ExecutorDefinition, in_process_executor
from dagwire.plan import ExecutionPlan, make_plan
from dagwire.preset import Preset
from dagwire.requirements import io_manager_keys, missing_resources, resource_order
from dagwire.resource import ResourceDefinition
from dagwire.storage import mem_io_manager
from dagwire.tags import read_tags
from dagwire.wiring import NodeGraph, compose


@dataclass(frozen=True)
class JobOptions:
    """What a job has beside its graph."""

    resource_defs: Mapping[str, ResourceLike] = field(default_factory=dict)
    config: AnyRunConfig = None
    presets: Sequence[Preset] = ()
    tags: Mapping[str, Any] | None = None
    executor_def: ExecutorDefinition | None = None
    input_values: Mapping[str, Any] = field(default_factory=dict)


class JobDefinition:
    """A job: what is launched, scheduled and seen in Dagit."""

    def __init__(
        self,
        graph: NodeGraph,
        *,
        name: str | None = None,
        description: str | None = None,
        options: JobOptions | None = None,
    ) -> None:
        options = options or JobOptions()
        self.name: Final = valid_name(graph.name if name is None else name, "job")
        self._owner: Final = f"job {self.name!r}"
        self.description: Final = description or graph.description
        self.graph: Final = graph
        tags = read_tags(options.tags, self._owner)
        self.tags: Final[Mapping[str, str]] = tags.labels
        self.container_config: Final = (
            graph.container_config if tags.container_config is None else tags.container_config
        )
        """What the pods of its runs shall be like; None: nothing is said."""
        self.executor_def: Final = options.executor_def or in_process_executor
        self.resource_defs: Final[Mapping[str, ResourceDefinition]] = MappingProxyType(
            {key: as_resource(value, key, self._owner) for key, value in options.resource_defs.items()}
        )
        self.presets: Final[Mapping[str, Preset]] = MappingProxyType(_by_name(options.presets, self._owner))
        self.config: Final = as_run_config(options.config)
        """What holds where neither a preset nor the run says otherwise."""
        self.input_values: Final[Mapping[str, Any]] = MappingProxyType(dict(options.input_values))
        """Values of its inputs that do not come from the run config."""
        self._options: Final = options
        if not self.missing_resources:
            self._check_config()

    def __repr__(self) -> str:
        return f"<job {self.name}>"

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: a job is not called."""
        raise DefinitionError(f"{self._owner} cannot be called; to run it here use .execute_in_process()")

    @cached_property
    def missing_resources(self) -> Mapping[str, str]:
        """The resources that it needs and has not, with who needs each; ``Definitions(resources=…)`` may add them."""
        return missing_resources(self.graph, self.resource_defs)

    def with_resources(self, resources: Mapping[str, ResourceLike]) -> "JobDefinition":
        """Return the job with resources added; its own stay."""
        return self._changed(resource_defs={**resources, **self._options.resource_defs})

    def with_executor(self, executor: ExecutorDefinition) -> "JobDefinition":
        """Return the job with this executor if it has none of its own."""
        return self if self._options.executor_def is not None else self._changed(executor_def=executor)

    def check_resources(self) -> None:
        """Make sure that no resource is missing.

        Raises:
            DefinitionError: one is; the message says who needs it.
        """
        for key, needed_by in self.missing_resources.items():
            known = ", ".join(sorted(self.resource_defs)) or "none"
            raise DefinitionError(
                f"{self._owner}: {needed_by} needs the resource {key!r}, which is not given (given: {known}); "
                "add it to resource_defs, or to Definitions(resources=…)"
            )

    def config_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its run config."""
        return json_schema(self.config_tree)

    def default_run_config(self) -> dict[str, Any]:
        """Return a run config with every default filled in; what must be given is left out."""
        return merge_config(defaults(self.config_tree), self.config)

    def resolve_config(self, run_config: AnyRunConfig = None, preset: str | None = None) -> ResolvedConfig:
        """Return the run config as the run gets it: the job's own, the preset, ``run_config``, one over the other.

        Raises:
            InvalidConfigError: it does not fit, or there is no such preset; all faults are listed.
        """
        merged = self.merged_config(run_config, preset)
        return resolve(self.config_tree, merged, self._owner)

    def merged_config(self, run_config: AnyRunConfig = None, preset: str | None = None) -> dict[str, Any]:
        """Return the job's own config, the preset's and ``run_config`` laid over each other, unchecked."""
        merged = merge_config(self.executor_def.run_config, self.config)
        if preset is not None:
            if preset not in self.presets:
                known = ", ".join(self.presets) or "none"
                fault = ConfigFault(("preset",), f"there is no preset {preset!r}; its presets are: {known}")
                raise InvalidConfigError(self._owner, [fault])
            merged = merge_config(merged, self.presets[preset].run_config)
        return merge_config(merged, as_run_config(run_config))

    def plan(self, resolved: ResolvedConfig) -> ExecutionPlan:
        """Return the steps that a run with this config executes, in topological order."""
        given = {((), name) for name in self.input_values}
        return make_plan(self.graph, given | resolved.inputs.keys())

    @cached_property
    def config_tree(self) -> Section:
        """The shape of its run config."""
        self.check_resources()
        return layout(self.graph, self.resource_defs, self.executor_def, self._owner, self.input_values)

    def execute_in_process(
        self,
        run_config: AnyRunConfig = None,
        *,
        preset: str | None = None,
        resources: Mapping[str, ResourceLike] | None = None,
        input_values: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        run_id: str | None = None,
        raise_on_error: bool = True,
    ) -> ExecuteInProcessResult:
        """Run the job here and now, without any server: for tests and notebooks.

        Args:
            run_config: laid over the preset's and the job's own.
            preset: the preset to start from.
            resources: in place of the job's own, by name.
            input_values: values of the job's inputs, as Python objects.
            tags: the run's tags.
            run_id: the run's id; a new one if not given.
            raise_on_error: raise what a step raised, rather than return a result that failed.
        """
        replaced = resources or {}
        config = self.merged_config(run_config, preset)
        job = self._changed(
            executor_def=in_process_executor,
            resource_defs={**self._options.resource_defs, **replaced},
            input_values={**self.input_values, **(input_values or {})},
            config=_without(config, replaced),
            presets=(),
        )
        all_tags = {**self.tags, **(tags or {})}
        return run_in_process(job, None, run_id=run_id, tags=all_tags, raise_on_error=raise_on_error)

    def _changed(self, **options: Any) -> "JobDefinition":
        return JobDefinition(
            self.graph, name=self.name, description=self.description, options=replace(self._options, **options)
        )

    def _check_config(self) -> None:
        """Refuse a preset, or a config of the job, that could not be run with."""
        unknown = set(self.input_values) - set(self.graph.ins)
        if unknown:
            raise DefinitionError(f"{self._owner}: input_values has {min(unknown)!r}, which is no input of its graph")
        self._check_storage()
        resource_order(self.resource_defs, set(self.resource_defs), self._owner)
        self._check_one(self.config, f"{self._owner}, its config")
        for preset in self.presets.values():
            self._check_one(merge_config(self.config, preset.run_config), f"{self._owner}, preset {preset.name!r}")

    def _check_one(self, config: Mapping[str, Any], owner: str) -> None:
        # What is missing may still be given at the launch.
        faults = check(self.config_tree, config, partial=True)[1].faults
        if faults:
            raise InvalidConfigError(owner, faults)

    def _check_storage(self) -> None:
        if not self.executor_def.isolates_steps:
            return
        for key in io_manager_keys(self.graph):
            if key in self.resource_defs and self.resource_defs[key] is mem_io_manager:
                raise DefinitionError(
                    f"{self._owner}: resource {key!r} is mem_io_manager, but its executor runs each step in a process "
                    "or pod of its own, which cannot see the others' memory; use fs_io_manager or in_process_executor"
                )


def _without(config: Mapping[str, Any], resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run config without what only the replaced executor and resources understand."""
    kept = {key: value for key, value in config.items() if key != "execution"}
    if isinstance(kept.get("resources"), Mapping):
        kept["resources"] = {key: value for key, value in kept["resources"].items() if key not in resources}
    return kept


def _by_name(presets: Sequence[Preset], owner: str) -> dict[str, Preset]:
    by_name: dict[str, Preset] = {}
    for preset in presets:
        if preset.name in by_name:
            raise DefinitionError(f"{owner}: there are two presets named {preset.name!r}")
        by_name[preset.name] = preset
    return by_name


@overload
def job(compose_fn: Callable[..., Any]) -> JobDefinition: ...
@overload
def job(
    *,
    name: str | None = None,
    description: str | None = None,
    resource_defs: Mapping[str, ResourceLike] | None = None,
    config: AnyRunConfig = None,
    presets: Sequence[Preset] = (),
    tags: Mapping[str, Any] | None = None,
    executor_def: ExecutorDefinition | None = None,
) -> Callable[[Callable[..., Any]], JobDefinition]: ...
def job(
    compose_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    resource_defs: Mapping[str, ResourceLike] | None = None,
    config: AnyRunConfig = None,
    presets: Sequence[Preset] = (),
    tags: Mapping[str, Any] | None = None,
    executor_def: ExecutorDefinition | None = None,
) -> JobDefinition | Callable[[Callable[..., Any]], JobDefinition]:
    """Make a job of a function that calls ops.

    Args:
        compose_fn: the function, where the decorator stands without parentheses.
        name: the job's name; the function's if not given.
        description: what it does; the docstring if not given.
        resource_defs: its resources by key.
        config: a run config that holds where neither a preset nor the run says otherwise.
        presets: named run configs to choose from at launch.
        tags: tags of its runs; ``dagwire/kubernetes`` is none of them, but says what their pods shall be like.
        executor_def: how its steps run; ``in_process_executor`` if not given.
    """
    options = JobOptions(resource_defs or {}, config, presets, tags, executor_def)

    def decorate(function: Callable[..., Any]) -> JobDefinition:
        own = function.__name__ if name is None else name
        owner = f"job {own!r}"
        composed = compose(function, owner)
        graph = NodeGraph(
            own,
            composed.nodes,
            description=description or inspect.getdoc(function),
            ins=composed.ins,
            outs=composed.outs,
            owner=owner,
        )
        return JobDefinition(graph, options=options)

    return decorate if compose_fn is None else decorate(compose_fn)
