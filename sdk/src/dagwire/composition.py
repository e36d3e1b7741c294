"""Composition: calling ops and graphs inside a ``@graph`` or ``@job`` body records nodes and how they are wired.

What is recorded is checked in ``graph``; only what can be seen at the call alone is refused here.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NoReturn

from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.ids import check_name

from dagwire.errors import DefinitionError, call_site
from dagwire.ports import In, Out
from dagwire.tags import read_tags


@dataclass(frozen=True)
class OutputSource:
    """An input's value comes from an output of a node in the same graph."""

    node: str
    output: str


@dataclass(frozen=True)
class GraphInputSource:
    """An input's value comes from an input of the surrounding graph."""

    name: str


@dataclass(frozen=True)
class FanInSource:
    """An input's value is a list, one element from each source."""

    sources: tuple[OutputSource | GraphInputSource, ...]


InputSource = OutputSource | GraphInputSource | FanInSource


class NodeDefinition:
    """What can be placed in a graph: an op, or a graph."""

    kind: str = "node"

    def __init__(
        self,
        name: str,
        *,
        description: str | None,
        tags: Mapping[str, Any] | None,
        ins: Mapping[str, In],
        outs: Mapping[str, Out],
        source: str = "?",
    ) -> None:
        where = f"{self.kind} {name!r}"
        self.name: Final = valid_name(name, self.kind)
        self.description: Final = description
        self.source: Final = source
        """``file.py:12`` of its function."""
        read = read_tags(tags, where)
        self.tags: Final[Mapping[str, str]] = read.labels
        self.container_config: Final = read.container_config
        """What the pods of this shall be like; None: nothing is said."""
        for port in (*ins, *outs):
            valid_name(port, f"{where}: input or output")
        self.ins: Final[Mapping[str, In]] = MappingProxyType(dict(ins))
        self.outs: Final[Mapping[str, Out]] = MappingProxyType(dict(outs))

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def alias(self, name: str) -> "PendingNode":
        """Return this under another name, to be called in a graph's body."""
        return PendingNode(self, alias=name)

    def tag(self, tags: Mapping[str, Any]) -> "PendingNode":
        """Return this with more tags, to be called in a graph's body."""
        return PendingNode(self, tags=tags)


@dataclass(frozen=True)
class Node:
    """A definition placed in a graph under a name."""

    name: str
    definition: NodeDefinition
    inputs: Mapping[str, InputSource] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    container_config: Mapping[str, Any] | None = None
    """What the pods of this node shall be like; None: nothing is said."""
    where: str = ""
    """``file.py:12`` of the call that placed it."""


@dataclass(frozen=True, eq=False)
class OutputHandle:
    """What a node's output is while a graph is composed: a promise, to be passed on to other ops."""

    body: "Body"
    source: OutputSource | GraphInputSource

    def __iter__(self) -> NoReturn:
        raise DefinitionError(f"{self} stands for a value of the run: it cannot be iterated while a graph is composed")

    def __bool__(self) -> NoReturn:
        raise DefinitionError(
            f"{self} stands for a value of the run: it cannot be tested while a graph is composed. "
            "To branch, give an op outputs with Out(is_required=False) and yield one of them"
        )

    def __str__(self) -> str:
        if isinstance(self.source, OutputSource):
            return f"output {self.source.output!r} of {self.source.node!r}"
        return f"graph input {self.source.name!r}"


class NodeOutputs(tuple[OutputHandle, ...]):
    """What a call with several outputs (or none) gives: unpack it, or take outputs by name."""

    __slots__ = ()

    def __getattr__(self, name: str) -> OutputHandle:
        for handle in self:
            if isinstance(handle.source, OutputSource) and handle.source.output == name:
                return handle
        known = ", ".join(str(handle) for handle in self)
        raise DefinitionError(f"there is no output {name!r} here; there are: {known or 'none'}")


class Body:
    """The graph that is being composed."""

    def __init__(self, owner: str) -> None:
        self.owner: Final = owner
        """``job 'weather'``, for messages."""
        self.nodes: Final[dict[str, Node]] = {}
        self._numbers: dict[str, int] = {}
        """The last number that was given to each name."""

    def add(self, definition: NodeDefinition, pending: "PendingNode", inputs: Mapping[str, InputSource]) -> Node:
        """Place a definition under its alias, or under its own name made unique."""
        where = call_site()
        if pending.name is not None and pending.name in self.nodes:
            raise DefinitionError(
                f"{self.owner}: there are two nodes named {pending.name!r} "
                f"({self.nodes[pending.name].where} and {where}); give each its own alias"
            )
        name = pending.name or self._free(definition.name)
        given = MappingProxyType(dict(inputs))
        node = Node(name, definition, given, pending.tags, pending.container_config, where)
        self.nodes[name] = node
        return node

    def _free(self, name: str) -> str:
        number, candidate = self._numbers.get(name, 1), name
        while candidate in self.nodes:
            number += 1
            candidate = f"{name}_{number}"
        self._numbers[name] = number
        return candidate


_bodies: ContextVar[tuple[Body, ...]] = ContextVar("dagwire_bodies", default=())


def current_body() -> Body | None:
    """Return the graph that is being composed here and now."""
    bodies = _bodies.get()
    return bodies[-1] if bodies else None


class composing:  # noqa: N801 -- used as a with-statement
    """The block in which calls of ops are recorded into ``body``."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def __enter__(self) -> Body:
        self._token = _bodies.set((*_bodies.get(), self._body))
        return self._body

    def __exit__(self, *_exc: object) -> None:
        _bodies.reset(self._token)


class PendingNode:
    """A definition with its alias and tags, waiting to be called in a graph's body."""

    def __init__(
        self, definition: NodeDefinition, *, alias: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> None:
        self.definition: Final = definition
        self.name: Final = None if alias is None else valid_name(alias, f"{definition.kind} {definition.name!r}: alias")
        self._given: Final = tags or {}
        own = read_tags(self._given, f"{definition.kind} {definition.name!r}")
        self.tags: Final[Mapping[str, str]] = MappingProxyType({**definition.tags, **own.labels})
        self.container_config: Final = (
            definition.container_config if own.container_config is None else own.container_config
        )

    def alias(self, name: str) -> "PendingNode":
        """Return this under another name."""
        return PendingNode(self.definition, alias=name, tags=self._given)

    def tag(self, tags: Mapping[str, Any]) -> "PendingNode":
        """Return this with more tags; one that it has already is replaced."""
        return PendingNode(self.definition, alias=self.name, tags={**self._given, **tags})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Place it in the graph that is being composed; the result stands for its outputs."""
        body = current_body()
        if body is None:
            raise DefinitionError(
                f"{self.definition.kind} {self.definition.name!r} is called outside of a @job or @graph function"
            )
        return place(body, self, args, kwargs)


def place(body: Body, pending: PendingNode, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Record one call in ``body`` and return what stands for its outputs.

    Raises:
        DefinitionError: an argument is not an output, or there is no such input.
    """
    definition = pending.definition
    what = f"{body.owner}, {definition.kind} {pending.name or definition.name!r} ({call_site()})"
    given = _bind(definition, what, args, kwargs)
    inputs = {name: _source(body, f"{what}, input {name!r}", value) for name, value in given.items()}
    node = body.add(definition, pending, inputs)
    handles = NodeOutputs(OutputHandle(body, OutputSource(node.name, name)) for name in definition.outs)
    return handles[0] if len(handles) == 1 else handles


def _bind(definition: NodeDefinition, what: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    names = list(definition.ins)
    known = ", ".join(names) or "none"
    if len(args) > len(names):
        raise DefinitionError(f"{what}: {len(args)} arguments for {len(names)} inputs ({known})")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in definition.ins:
            raise DefinitionError(f"{what}: there is no input {name!r}; its inputs are: {known}")
        if name in given:
            raise DefinitionError(f"{what}: input {name!r} is given twice")
        given[name] = value
    return given


def _source(body: Body, what: str, value: Any) -> InputSource:
    if isinstance(value, OutputHandle):
        return _handle(body, what, value)
    if isinstance(value, NodeOutputs):
        names = ", ".join(str(one) for one in value)
        raise DefinitionError(f"{what}: pass one output, not all of a node's ({names or 'it has none'})")
    if isinstance(value, list | tuple):
        parts = [_source(body, what, one) for one in value]
        if any(isinstance(part, FanInSource) for part in parts):
            raise DefinitionError(f"{what}: a list of lists cannot be collected; make it one list")
        return FanInSource(tuple(part for part in parts if not isinstance(part, FanInSource)))
    raise DefinitionError(
        f"{what}: {value!r:.80} is not an output of an op. Values are set by run config or by a default"
    )


def _handle(body: Body, what: str, handle: OutputHandle) -> OutputSource | GraphInputSource:
    if handle.body is not body:
        raise DefinitionError(
            f"{what}: {handle} belongs to {handle.body.owner}; pass it in as an input of the graph, or return it"
        )
    return handle.source


def source_line(function: Callable[..., Any]) -> str:
    """Return ``file.py:12`` of a function."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "?"


def valid_name(name: Any, what: str) -> str:
    """Return ``name`` if it can name something of kind ``what``.

    Raises:
        DefinitionError: it cannot.
    """
    if not isinstance(name, str):
        raise DefinitionError(f"{what}: a name is a string, not {name!r}")
    try:
        return check_name(name)
    except InvalidIdentifierError as error:
        raise DefinitionError(f"{what}: {error}") from error
