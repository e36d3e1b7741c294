"""What user code is given while it runs: the op's context. It reads the run and hands facts on; it decides nothing."""

import copy
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dagwire.errors import InvocationError
from dagwire.metadata import RawMetadata
from dagwire.results import OpEvent

if TYPE_CHECKING:
    from dagwire.op import OpDefinition  # op builds on this module


@dataclass(frozen=True)
class RunInfo:
    """The run that user code is part of."""

    run_id: str
    job: str
    location: str = ""
    repository: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    definitions_hash: str | None = None
    preset: str | None = None

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self.job


class Resources:
    """The resources that an op asked for, as attributes."""

    def __init__(self, values: Mapping[str, Any], owner: str) -> None:
        self._values = dict(values)
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        if name.startswith("__"):
            raise AttributeError(name)
        known = ", ".join(sorted(values)) or "none"
        raise AttributeError(
            f"{self.__dict__.get('_owner')} does not ask for the resource {name!r} (it asks for: {known}); "
            f"add it to required_resource_keys"
        )


class OpExecutionContext:
    """What an op's function gets as its first parameter ``context``."""

    def __init__(
        self,
        *,
        op: "OpDefinition | None",
        step_key: str,
        run: RunInfo,
        op_config: Any,
        resources: Resources,
        log: logging.Logger,
        record: Callable[[OpEvent], None],
    ) -> None:
        self.op: Final = op
        """The op's definition; None in a context that was built for a test."""
        self.step_key: Final = step_key
        """``load``, or ``graph.load`` inside a graph."""
        self.run: Final = run
        """The run: its id, job and tags."""
        self.op_config = op_config
        """The op's config as declared: a ``Config`` object, a plain value, or a mapping."""
        self.resources: Final = resources
        """The resources that the op asked for, as attributes."""
        self.log: Final = log
        """A logger whose lines become the run's log; ``extra={…}`` becomes searchable fields."""
        self._record = record
        self._metadata: dict[str, dict[str, Any]] = {}
        self._events: list[OpEvent] = []

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self.run.job

    @property
    def run_tags(self) -> Mapping[str, str]:
        """The run's tags."""
        return MappingProxyType(dict(self.run.tags))

    def has_tag(self, key: str) -> bool:
        """Return whether the run has a tag."""
        return key in self.run.tags

    def get_tag(self, key: str) -> str | None:
        """Return one of the run's tags."""
        return self.run.tags.get(key)

    def log_event(self, event: OpEvent) -> None:
        """Record a materialization or an expectation at once."""
        self._events.append(event)
        self._record(event)

    def get_events(self) -> list[OpEvent]:
        """Return what ``log_event`` recorded so far."""
        return list(self._events)

    def add_output_metadata(self, metadata: RawMetadata, output_name: str | None = None) -> None:
        """Attach metadata to an output that the op is about to return."""
        name = self._output_name(output_name)
        self._metadata.setdefault(name, {}).update(metadata)

    def get_output_metadata(self, output_name: str | None = None) -> Mapping[str, Any]:
        """Return what ``add_output_metadata`` attached so far."""
        return self._metadata.get(self._output_name(output_name), {})

    def with_config(self, op_config: Any) -> "OpExecutionContext":
        """Return this context with another config; what is recorded in one is recorded in both."""
        other = copy.copy(self)
        other.op_config = op_config
        return other

    def _output_name(self, name: str | None) -> str:
        names = list(self.op.outs) if self.op is not None else [name or "result"]
        if name is None and len(names) == 1:
            return names[0]
        if name not in names or name is None:
            raise InvocationError(f"step {self.step_key!r}: say which output the metadata is of: {', '.join(names)}")
        return name


def build_op_context(
    *,
    resources: Mapping[str, Any] | None = None,
    op_config: Any = None,
    run_tags: Mapping[str, str] | None = None,
    run_id: str = "00000000-0000-0000-0000-000000000000",
) -> OpExecutionContext:
    """Return a context for calling an op's function in a test: ``clean(build_op_context(), rows)``.

    Args:
        resources: what ``context.resources`` has, ready to be used.
        op_config: the op's config, as a mapping or a ``Config`` object.
        run_tags: the run's tags.
        run_id: the run's id.
    """
    return OpExecutionContext(
        op=None,
        step_key="test",
        run=RunInfo(run_id, "test", tags=dict(run_tags or {})),
        op_config=op_config,
        resources=Resources(resources or {}, "this test"),
        log=logging.getLogger("dagwire.op"),
        record=lambda _event: None,
    )


def log_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was passed as ``extra`` to a log call."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def namespace(values: Mapping[str, Any], keys: Iterable[str], owner: str) -> Resources:
    """Return those of ``values`` that ``owner`` asked for."""
    return Resources({key: values[key] for key in keys}, owner)
