"""The shape of one job's run config, and resolving a given one against it. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

from dagwire.annotations import Nothing
from dagwire.config.tree import Leaf, LeafKey, Section, check
from dagwire.errors import DefinitionError, InvalidConfigError
from dagwire.executor import ExecutorDefinition
from dagwire.op import OpDefinition
from dagwire.ports import MISSING, In
from dagwire.resource import ResourceDefinition
from dagwire.wiring import NodeGraph

Path = tuple[str, ...]
InputKey = tuple[Path, str]
"""An input that nothing feeds: the path of its node (empty: the job itself) and its name."""


@dataclass(frozen=True)
class ResolvedConfig:
    """A run config that fits, with the values that user code gets."""

    run_config: Mapping[str, Any]
    """As JSON, with every default filled in."""
    ops: Mapping[Path, Any] = field(default_factory=dict)
    """The config of each op that takes one, by its path."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    execution: Any = None
    inputs: Mapping[InputKey, Any] = field(default_factory=dict)
    """The values of inputs that nothing feeds and the run config gives."""


def layout(
    graph: NodeGraph,
    resources: Mapping[str, ResourceDefinition],
    executor: ExecutorDefinition,
    owner: str,
    given: Collection[str] = (),
) -> Section:
    """Return the shape of a job's run config.

    Args:
        graph: the job's graph.
        resources: its resources by key.
        executor: its executor.
        owner: the job, for messages.
        given: inputs of the job whose values do not come from the run config.

    Raises:
        DefinitionError: an input is neither connected, nor has a default, nor a type that config can express.
    """
    sections = {
        "ops": _ops(graph, (), owner),
        "resources": _resources(resources),
        "execution": _execution(executor),
        "inputs": Section(
            {name: _input(one, ((), name), owner) for name, one in graph.ins.items() if name not in given}
        ),
    }
    return Section(sections)


def resolve(tree: Section, config: Mapping[str, Any], owner: str) -> ResolvedConfig:
    """Return a run config with its defaults filled in and its values validated.

    Raises:
        InvalidConfigError: it does not fit; all faults are listed.
    """
    filled, checked = check(tree, config)
    if checked.faults:
        raise InvalidConfigError(owner, checked.faults)
    by_kind: dict[str, dict[Any, Any]] = {"op": {}, "resource": {}, "execution": {}, "input": {}}
    for leaf, value in checked.values.items():
        by_kind[leaf.kind][leaf.key] = value
    return ResolvedConfig(
        run_config=filled,
        ops=by_kind["op"],
        resources=by_kind["resource"],
        execution=by_kind["execution"].get(""),
        inputs=by_kind["input"],
    )


def unfed_inputs(graph: NodeGraph) -> Iterator[tuple[str, str, In]]:
    """Yield node, name and description of each input of the graph's nodes that nothing feeds."""
    for node in graph.nodes.values():
        for name, one in node.definition.ins.items():
            if name not in node.inputs and one.annotation is not Nothing:
                yield node.name, name, one


def _ops(graph: NodeGraph, path: Path, owner: str) -> Section:
    unfed: dict[str, dict[str, Section | Leaf]] = {}
    for placed, name, one in unfed_inputs(graph):
        unfed.setdefault(placed, {})[name] = _input(one, ((*path, placed), name), owner)
    nodes: dict[str, Section | Leaf] = {}
    for node in graph.nodes.values():
        definition, here = node.definition, (*path, node.name)
        adapter = definition.config_adapter if isinstance(definition, OpDefinition) else None
        parts = _config_of(LeafKey("op", here), adapter)
        if isinstance(definition, NodeGraph):
            parts["ops"] = _ops(definition, here, owner)
        if node.name in unfed:
            parts["inputs"] = Section(unfed[node.name])
        nodes[node.name] = Section(parts, description=definition.description)
    return Section(nodes)


def _resources(resources: Mapping[str, ResourceDefinition]) -> Section:
    return Section(
        {
            key: Section(_config_of(LeafKey("resource", key), one.config_adapter), description=one.description)
            for key, one in resources.items()
        }
    )


def _config_of(key: LeafKey, adapter: TypeAdapter[Any] | None) -> dict[str, Section | Leaf]:
    return {} if adapter is None else {"config": _leaf(key, adapter)}


def _execution(executor: ExecutorDefinition) -> Section:
    if executor.adapter is None:
        return Section()
    default = dict(executor.defaults)
    return Section({"config": Leaf(LeafKey("execution", ""), executor.adapter, required=False, default=default)})


def _leaf(key: LeafKey, adapter: TypeAdapter[Any]) -> Leaf:
    """Return the place of a config: it may be left out if an empty mapping is enough."""
    optional = _accepts_empty(adapter)
    return Leaf(key, adapter, required=not optional, default={} if optional else MISSING)


def _accepts_empty(adapter: TypeAdapter[Any]) -> bool:
    try:
        adapter.validate_json(b"{}", strict=True)
    except ValueError:
        return False
    return True


def _input(one: In, key: InputKey, owner: str) -> Leaf:
    path, name = key
    where = f"{owner}, op {'.'.join(path)!r}, input {name!r}" if path else f"{owner}, its input {name!r}"
    adapter = _input_adapter(one.annotation)
    if adapter is None:
        if not one.has_default:
            raise DefinitionError(
                f"{where} is not connected, has no default, and a {one.type_name} cannot be given by run config"
            )
        adapter = TypeAdapter(Any)
    return Leaf(LeafKey("input", key), adapter, required=not one.has_default, description=one.description)


def _input_adapter(annotation: Any) -> TypeAdapter[Any] | None:
    """Return what reads a value of this type from JSON; None if nothing can."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        adapter.json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError, TypeError):
        return None
    return adapter
