"""The steps of a run: nested graphs flattened, each input traced back to what gives its value."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from dagwire_shared.events.values import PlannedStep

from dagwire.annotations import Nothing
from dagwire.composition import FanInSource, GraphInputSource, OutputSource
from dagwire.composition import InputSource as Wired
from dagwire.op import OpDefinition
from dagwire.ports import MISSING
from dagwire.wiring import NodeGraph

Path = tuple[str, ...]


@dataclass(frozen=True)
class FromOutput:
    """The value comes from an output of another step."""

    step: str
    output: str


@dataclass(frozen=True)
class FromOutputs:
    """The value is a list, one element from each output; those that are not produced are left out."""

    sources: tuple["FromOutput | FromConfig | FromDefault", ...]


@dataclass(frozen=True)
class FromConfig:
    """The value comes from the run config: ``key`` is the unfed input's node path and name."""

    key: tuple[Path, str]


@dataclass(frozen=True)
class FromDefault:
    """The value is a default: a surrounding graph's, or (``MISSING``) the op's own."""

    value: Any = MISSING


InputSource: TypeAlias = FromOutput | FromOutputs | FromConfig | FromDefault


@dataclass(frozen=True)
class Step:
    """One op to be executed, once."""

    key: str
    """``load``, or ``graph.load`` inside a graph."""
    path: Path
    op: OpDefinition
    inputs: Mapping[str, InputSource]
    tags: Mapping[str, str] = field(default_factory=dict)
    container_configs: tuple[Mapping[str, Any], ...] = ()
    """What its pod shall be like, one laid over the other: the graphs around it say, outermost first, then its op."""

    @property
    def upstream(self) -> tuple[FromOutput, ...]:
        """Every output that it needs, those that only order included."""
        return tuple(one for source in self.inputs.values() for one in outputs_in(source))

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The keys of the steps that it waits for."""
        return tuple(dict.fromkeys(one.step for one in self.upstream))


@dataclass(frozen=True)
class ExecutionPlan:
    """The steps of a run, in topological order."""

    steps: tuple[Step, ...]

    def step(self, key: str) -> Step:
        """Return a step by its key."""
        return self._by_key[key]

    @cached_property
    def _by_key(self) -> dict[str, Step]:
        return {step.key: step for step in self.steps}

    @property
    def planned(self) -> list[PlannedStep]:
        """The steps as events tell them."""
        return [PlannedStep(key=step.key, depends_on=list(step.depends_on)) for step in self.steps]


def outputs_in(source: InputSource) -> Iterator[FromOutput]:
    """Yield the outputs behind a source."""
    match source:
        case FromOutput():
            yield source
        case FromOutputs(sources):
            yield from (one for one in sources if isinstance(one, FromOutput))
        case _:
            return


def make_plan(graph: NodeGraph, given: Collection[tuple[Path, str]] = ()) -> ExecutionPlan:
    """Return the steps of a graph.

    Args:
        graph: the job's graph.
        given: the unfed inputs that the run config gives a value.
    """
    return ExecutionPlan(tuple(_ordered(list(_Flattening(graph, frozenset(given)).steps((), graph)))))


def outputs_of(graph: NodeGraph) -> dict[str, FromOutput]:
    """Return which step's output each output of the graph is."""
    walk = _Flattening(graph, frozenset())
    return {name: walk.output((), source) for name, source in graph.output_sources.items()}


class _Flattening:
    """One walk through a graph and the graphs in it."""

    def __init__(self, root: NodeGraph, given: frozenset[tuple[Path, str]]) -> None:
        self._root = root
        self._given = given

    def steps(self, path: Path, graph: NodeGraph, around: tuple[Mapping[str, Any], ...] = ()) -> Iterator[Step]:
        for node in graph.nodes.values():
            here = (*path, node.name)
            configs = (*around, node.container_config) if node.container_config else around
            if isinstance(node.definition, NodeGraph):
                yield from self.steps(here, node.definition, configs)
            elif isinstance(node.definition, OpDefinition):
                inputs = {name: self.input(here, name) for name in node.definition.ins}
                wired = {name: source for name, source in inputs.items() if source is not None}
                yield Step(".".join(here), here, node.definition, wired, node.tags or node.definition.tags, configs)

    def input(self, path: Path, name: str) -> InputSource | None:
        """Return where an input's value comes from; None: an unfed input that only orders."""
        source = self._graph(path[:-1]).nodes[path[-1]].inputs.get(name)
        if source is None:
            return self._unfed(path, name)
        return self._wired(path[:-1], source)

    def output(self, path: Path, source: OutputSource) -> FromOutput:
        """Return the op's output behind an output of a node of the graph at ``path``."""
        here = (*path, source.node)
        definition = self._graph(path).nodes[source.node].definition
        if isinstance(definition, NodeGraph):
            return self.output(here, definition.output_sources[source.output])
        return FromOutput(".".join(here), source.output)

    def _wired(self, path: Path, source: Wired) -> InputSource | None:
        match source:
            case OutputSource():
                return self.output(path, source)
            case GraphInputSource(name):
                return self.input(path, name) if path else self._unfed((), name)
            case FanInSource(sources):
                return FromOutputs(tuple(self._collected([self._wired(path, one) for one in sources])))

    def _collected(self, sources: list[InputSource | None]) -> Iterator[FromOutput | FromConfig | FromDefault]:
        for source in sources:
            if isinstance(source, FromOutputs):
                yield from source.sources
            elif source is not None:
                yield source

    def _unfed(self, path: Path, name: str) -> InputSource | None:
        if (path, name) in self._given:
            return FromConfig((path, name))
        definition = self._graph(path[:-1]).nodes[path[-1]].definition if path else self._root
        if definition.ins[name].annotation is Nothing:
            return None
        return FromDefault(definition.own_defaults.get(name, MISSING) if isinstance(definition, NodeGraph) else MISSING)

    def _graph(self, path: Path) -> NodeGraph:
        graph = self._root
        for name in path:
            inner = graph.nodes[name].definition
            assert isinstance(inner, NodeGraph)  # noqa: S101 -- paths are made by this walk
            graph = inner
        return graph


def _ordered(steps: list[Step]) -> Iterator[Step]:
    """Yield steps so that each follows those it waits for; flattening alone does not keep that order."""
    waiting = {step.key: step for step in steps}
    done: set[str] = set()
    while waiting:
        for step in list(waiting.values()):
            if done.issuperset(step.depends_on):
                yield step
                done.add(step.key)
                del waiting[step.key]
