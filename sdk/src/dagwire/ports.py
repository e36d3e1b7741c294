"""How an op's inputs and outputs are described: ``In`` and ``Out``, for graphs ``GraphIn`` and ``GraphOut``."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from dagwire.annotations import type_name
from dagwire.metadata import RawMetadata


class _Missing:
    """The value of what was not given (None is a value)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


@dataclass(frozen=True)
class In:
    """An input: ``In(int, default_value=3)``, ``In(Nothing)`` for order alone.

    Its type comes from the parameter's annotation if it is not given. ``dagster_type`` is the same under
    the name that code which moves here uses.
    """

    type: Any = MISSING
    description: str | None = None
    default_value: Any = MISSING
    metadata: RawMetadata = field(default_factory=dict, kw_only=True)
    dagster_type: Any = field(default=MISSING, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.type is MISSING:
            object.__setattr__(self, "type", self.dagster_type)

    @property
    def annotation(self) -> Any:
        """The type, ``Any`` if nobody says."""
        return Any if self.type is MISSING else self.type

    @property
    def has_default(self) -> bool:
        """Whether the op can be called without this input."""
        return self.default_value is not MISSING

    @property
    def type_name(self) -> str:
        """The type as shown to people."""
        return type_name(self.annotation)

    def completed(self, annotation: Any, default: Any) -> "In":
        """Return this input with what the parameter says where the input itself is silent."""
        kind = annotation if self.type is MISSING else self.type
        value = default if self.default_value is MISSING else self.default_value
        return replace(self, type=kind, default_value=value)


@dataclass(frozen=True)
class Out:
    """An output: ``Out(int)``, ``Out(is_required=False)`` for one that may not be produced.

    Its type comes from the return annotation if it is not given.
    """

    type: Any = MISSING
    description: str | None = None
    is_required: bool = True
    io_manager_key: str = "io_manager"
    metadata: RawMetadata = field(default_factory=dict, kw_only=True)
    dagster_type: Any = field(default=MISSING, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.type is MISSING:
            object.__setattr__(self, "type", self.dagster_type)

    @property
    def annotation(self) -> Any:
        """The type, ``Any`` if nobody says."""
        return Any if self.type is MISSING else self.type

    @property
    def type_name(self) -> str:
        """The type as shown to people."""
        return type_name(self.annotation)

    def completed(self, annotation: Any) -> "Out":
        """Return this output with the annotated type if it has none of its own."""
        return self if self.type is not MISSING else replace(self, type=annotation)


@dataclass(frozen=True)
class GraphIn:
    """An input of a graph; its type comes from the parameter's annotation, or from the op that it feeds."""

    description: str | None = None


@dataclass(frozen=True)
class GraphOut:
    """An output of a graph; its type is that of the op's output behind it."""

    description: str | None = None
