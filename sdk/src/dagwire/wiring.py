"""Wiring: nodes, what feeds what, and the checks that a graph makes sense. Everything is checked when it is made."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from dagwire.annotations import Nothing, annotations_of, can_flow, element_of, type_name
from dagwire.composition import (
    Body,
    FanInSource,
    GraphInputSource,
    InputSource,
    Node,
    NodeDefinition,
    NodeOutputs,
    OutputHandle,
    OutputSource,
    PendingNode,
    composing,
    current_body,
    place,
)
from dagwire.errors import DefinitionError
from dagwire.ports import MISSING, GraphIn, GraphOut, In, Out


class NodeGraph(NodeDefinition):
    """Nodes, how they are wired, and which inputs and outputs are the graph's own: a job's body, or a graph."""

    kind = "graph"

    def __init__(
        self,
        name: str,
        nodes: Iterable[Node] = (),
        *,
        description: str | None = None,
        ins: Mapping[str, In] | None = None,
        outs: Mapping[str, OutputSource] | None = None,
        out_descriptions: Mapping[str, str | None] | None = None,
        tags: Mapping[str, Any] | None = None,
        owner: str | None = None,
        source: str = "?",
    ) -> None:
        owner = owner or f"graph {name!r}"
        by_name = _by_name(nodes, owner)
        self.own_defaults: Final[Mapping[str, Any]] = MappingProxyType(
            {key: one.default_value for key, one in (ins or {}).items() if one.has_default}
        )
        """The defaults that its own parameters have."""
        ins = {key: _inferred(by_name, key, one) for key, one in (ins or {}).items()}
        _check_wiring(by_name, ins, owner)
        self.nodes: Final[Mapping[str, Node]] = MappingProxyType(in_order(by_name, owner))
        """In topological order, by name."""
        self.output_sources: Final[Mapping[str, OutputSource]] = MappingProxyType(dict(outs or {}))
        """Which node's output each of its outputs is."""
        super().__init__(
            name,
            description=description,
            tags=tags,
            ins=ins,
            outs={
                key: _described(_output(by_name, one, f"{owner}, output {key!r}"), (out_descriptions or {}).get(key))
                for key, one in (outs or {}).items()
            },
            source=source,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Place the graph in the graph that is being composed."""
        body = current_body()
        if body is None:
            raise DefinitionError(
                f"{self.kind} {self.name!r} is called outside of a @job or @graph; to run it use .execute_in_process()"
            )
        return place(body, PendingNode(self), args, kwargs)


def in_order(nodes: Mapping[str, Node], owner: str) -> dict[str, Node]:
    """Return nodes so that each follows those it needs, otherwise as given.

    Raises:
        DefinitionError: they need each other in a circle.
    """
    waiting = {name: {source.node for source in _upstream(node)} for name, node in nodes.items()}
    ordered: dict[str, Node] = {}
    while waiting:
        before = len(ordered)
        for name, needs in list(waiting.items()):
            if needs <= ordered.keys():
                ordered[name] = nodes[name]
                del waiting[name]
        if len(ordered) == before:
            raise DefinitionError(f"{owner}: its nodes need each other in a circle: {' → '.join(_circle(waiting))}")
    return ordered


def sources_of(source: InputSource) -> tuple[OutputSource | GraphInputSource, ...]:
    """Return the single sources of an input."""
    return source.sources if isinstance(source, FanInSource) else (source,)


def _upstream(node: Node) -> Iterator[OutputSource]:
    for source in node.inputs.values():
        yield from (one for one in sources_of(source) if isinstance(one, OutputSource))


def _circle(waiting: Mapping[str, set[str]]) -> list[str]:
    path = [next(iter(waiting))]
    while True:
        following = next(name for name in waiting[path[-1]] if name in waiting)
        if following in path:
            return [*path[path.index(following) :], following][::-1]
        path.append(following)


def _by_name(nodes: Iterable[Node], owner: str) -> dict[str, Node]:
    by_name: dict[str, Node] = {}
    definitions: dict[str, NodeDefinition] = {}
    for node in nodes:
        if node.name in by_name:
            raise DefinitionError(f"{owner}: there are two nodes named {node.name!r}; give each its own alias")
        by_name[node.name] = node
        first = definitions.setdefault(node.definition.name, node.definition)
        if first is not node.definition:
            raise DefinitionError(
                f"{owner}: there are two different definitions named {first.name!r} "
                f"({first.source} and {node.definition.source}); rename one of them"
            )
    return by_name


def _check_wiring(nodes: Mapping[str, Node], ins: Mapping[str, In], owner: str) -> None:
    for node in nodes.values():
        for name, source in node.inputs.items():
            place_ = f"{owner}, {node.definition.kind} {node.name!r}, input {name!r}" + _at(node)
            target = node.definition.ins.get(name)
            if target is None:
                raise DefinitionError(f"{place_}: there is no such input")
            for one in sources_of(source):
                given = _annotation_of(nodes, ins, one, place_)
                _check_types(given, one, target, source, place_)


def _check_types(
    given: Any, source: OutputSource | GraphInputSource, target: In, whole: InputSource, place_: str
) -> None:
    wanted = target.annotation
    if isinstance(whole, FanInSource):
        wanted = element_of(wanted)
        if wanted is None:
            raise DefinitionError(f"{place_} takes {target.type_name}; it is given a list of outputs")
    if can_flow(given, wanted):
        return
    origin = _spell(source)
    if given is Nothing:
        raise DefinitionError(
            f"{place_} takes {type_name(wanted)}, but {origin} carries no value. "
            "Annotate what the op returns, or make the input In(Nothing) if only the order matters"
        )
    raise DefinitionError(f"{place_} takes {type_name(wanted)}, but {origin} is {type_name(given)}")


def _spell(source: OutputSource | GraphInputSource) -> str:
    if isinstance(source, OutputSource):
        return f"output {source.output!r} of {source.node!r}"
    return f"graph input {source.name!r}"


def _annotation_of(
    nodes: Mapping[str, Node], ins: Mapping[str, In], source: OutputSource | GraphInputSource, place_: str
) -> Any:
    if isinstance(source, GraphInputSource):
        if source.name not in ins:
            raise DefinitionError(f"{place_} comes from the graph input {source.name!r}, which does not exist")
        return ins[source.name].annotation
    return _output(nodes, source, place_).annotation


def _output(nodes: Mapping[str, Node], source: OutputSource, place_: str) -> Out:
    if source.node not in nodes:
        raise DefinitionError(f"{place_} comes from {source.node!r}, which is not in the graph")
    outs = nodes[source.node].definition.outs
    if source.output not in outs:
        known = ", ".join(outs) or "none"
        raise DefinitionError(
            f"{place_} comes from output {source.output!r} of {source.node!r}, which does not exist; "
            f"its outputs are: {known}"
        )
    return outs[source.output]


def _described(out: Out, description: str | None) -> Out:
    return out if description is None else replace(out, description=description)


def _inferred(nodes: Mapping[str, Node], name: str, given: In) -> In:
    """Return a graph's input, completed by the inputs of the nodes that it feeds."""
    fed = [
        node.definition.ins[key]
        for node in nodes.values()
        for key, source in node.inputs.items()
        if GraphInputSource(name) in sources_of(source) and key in node.definition.ins
    ]
    direct = [
        node.definition.ins[key]
        for node in nodes.values()
        for key, source in node.inputs.items()
        if source == GraphInputSource(name) and key in node.definition.ins
    ]
    kind = next((one.annotation for one in direct if one.annotation is not Nothing), Nothing if direct else Any)
    optional = bool(fed) and all(one.has_default for one in fed)
    return given.completed(kind, fed[0].default_value if optional else MISSING)


def _at(node: Node) -> str:
    return f" ({node.where})" if node.where else ""


@dataclass(frozen=True)
class Composed:
    """What calling a graph's function recorded."""

    nodes: list[Node]
    ins: dict[str, In]
    outs: dict[str, OutputSource]


def compose(
    function: Callable[..., Any],
    owner: str,
    *,
    ins: Mapping[str, GraphIn] | None = None,
    out: GraphOut | Mapping[str, GraphOut] | None = None,
) -> Composed:
    """Return what a function composes when it is called.

    Raises:
        DefinitionError: the body wires something wrongly, or returns something that is no output.
    """
    hints = annotations_of(function, owner)
    body = Body(owner)
    inputs: dict[str, In] = {}
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DefinitionError(f"{owner}: parameter {parameter} must be a name: each is an input of the graph")
        default = MISSING if parameter.default is parameter.empty else parameter.default
        inputs[key] = In(hints.get(key, MISSING), (ins or {}).get(key, GraphIn()).description, default)
    unknown = set(ins or {}) - set(inputs)
    if unknown:
        raise DefinitionError(f"{owner}: input {min(unknown)!r} is no parameter of its function")
    with composing(body):
        returned = function(**{key: OutputHandle(body, GraphInputSource(key)) for key in inputs})
    return Composed(list(body.nodes.values()), inputs, _returned(body, returned, out, owner))


def _returned(
    body: Body, returned: Any, out: GraphOut | Mapping[str, GraphOut] | None, owner: str
) -> dict[str, OutputSource]:
    names = list(out) if isinstance(out, Mapping) else None
    if returned is None:
        values: dict[str, Any] = {}
    elif isinstance(returned, Mapping):
        values = dict(returned)
    elif isinstance(returned, NodeOutputs) and names is None:
        values = {handle.source.output: handle for handle in returned if isinstance(handle.source, OutputSource)}
    elif isinstance(returned, tuple):
        if names is None or len(names) != len(returned):
            raise DefinitionError(f"{owner} returns {len(returned)} outputs; name them all: out={{'a': GraphOut(), …}}")
        values = dict(zip(names, returned, strict=True))
    else:
        values = {names[0] if names else "result": returned}
    if names is not None and set(names) != set(values):
        raise DefinitionError(
            f"{owner} declares the outputs {', '.join(names)}, and returns {', '.join(values) or 'none'}"
        )
    return {name: _returned_source(body, value, f"{owner}, output {name!r}") for name, value in values.items()}


def _returned_source(body: Body, value: Any, where: str) -> OutputSource:
    if isinstance(value, OutputHandle) and value.body is body and isinstance(value.source, OutputSource):
        return value.source
    if isinstance(value, OutputHandle) and isinstance(value.source, GraphInputSource):
        raise DefinitionError(f"{where}: {value} is returned as it came in; return an op's output")
    raise DefinitionError(f"{where}: {value!r:.80} is not an output of an op in its body")
