"""What a graph needs from outside: resources, and who asks for each. Pure."""

from collections.abc import Iterator, Mapping

from dagwire.annotations import Nothing
from dagwire.composition import NodeDefinition
from dagwire.errors import DefinitionError
from dagwire.op import OpDefinition
from dagwire.resource import ResourceDefinition
from dagwire.wiring import NodeGraph

IO_MANAGER = "io_manager"
"""The resource that keeps outputs which name no other; every job has one."""


def ops_in(graph: NodeGraph, path: tuple[str, ...] = ()) -> Iterator[tuple[str, OpDefinition]]:
    """Yield every op placed in a graph or in the graphs in it, with its dotted path."""
    for node in graph.nodes.values():
        here = (*path, node.name)
        if isinstance(node.definition, NodeGraph):
            yield from ops_in(node.definition, here)
        elif isinstance(node.definition, OpDefinition):
            yield ".".join(here), node.definition


def io_manager_keys(graph: NodeGraph) -> set[str]:
    """Return the resource keys under which outputs of a graph are kept."""
    return {out.io_manager_key for _, op in ops_in(graph) for out in op.outs.values() if out.annotation is not Nothing}


def missing_resources(graph: NodeGraph, resources: Mapping[str, ResourceDefinition]) -> dict[str, str]:
    """Return the resource keys that are needed and not given, each with who needs it."""
    needed: dict[str, str] = {}
    for path, op in ops_in(graph):
        for key in sorted(op.required_resource_keys):
            needed.setdefault(key, f"op {path!r}")
        for name, out in op.outs.items():
            needed.setdefault(out.io_manager_key, f"output {name!r} of op {path!r}")
    for key, one in resources.items():
        for other in sorted(one.required_resource_keys):
            needed.setdefault(other, f"resource {key!r}")
    return {key: by for key, by in needed.items() if key not in resources and key != IO_MANAGER}


def resource_order(resources: Mapping[str, ResourceDefinition], wanted: set[str], owner: str) -> list[str]:
    """Return the wanted resources and those they need, each after what it needs.

    Raises:
        DefinitionError: they need each other in a circle.
    """
    ordered: dict[str, None] = {}

    def visit(key: str, trail: tuple[str, ...]) -> None:
        if key in trail:
            circle = " → ".join([*trail[trail.index(key) :], key])
            raise DefinitionError(f"{owner}: its resources need each other in a circle: {circle}")
        for other in sorted(resources[key].required_resource_keys):
            if other in resources:
                visit(other, (*trail, key))
        ordered[key] = None

    for key in sorted(wanted):
        visit(key, ())
    return list(ordered)


def definitions_in(graph: NodeGraph) -> Iterator[NodeDefinition]:
    """Yield every definition placed in a graph or in the graphs in it."""
    for node in graph.nodes.values():
        yield node.definition
        if isinstance(node.definition, NodeGraph):
            yield from definitions_in(node.definition)
