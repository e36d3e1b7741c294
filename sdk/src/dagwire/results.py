"""What an op returns, yields or raises beside plain values: outputs, materializations, expectations, failures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dagwire.metadata import RawMetadata

T_co = TypeVar("T_co", covariant=True)


class Output(Generic[T_co]):
    """A value for one of an op's outputs, with metadata: ``yield Output(rows, "clean", metadata={"n": 3})``."""

    __slots__ = ("metadata", "output_name", "value")

    def __init__(self, value: T_co, output_name: str | None = None, *, metadata: RawMetadata | None = None) -> None:
        self.value = value
        self.output_name = output_name
        """None: the op's only output, or the one at this place of a returned tuple."""
        self.metadata: RawMetadata = dict(metadata or {})

    def __repr__(self) -> str:
        return f"Output({self.value!r}, {self.output_name!r})"


@dataclass(frozen=True, init=False)
class AssetKey:
    """What an asset is called: one name, or several from the general to the particular."""

    path: tuple[str, ...]

    def __init__(self, path: str | Sequence[str]) -> None:
        parts = (path,) if isinstance(path, str) else tuple(path)
        if not parts or not all(isinstance(part, str) and part for part in parts):
            raise ValueError(f"an asset key is one name or a list of names, not {path!r}")
        object.__setattr__(self, "path", parts)

    def to_user_string(self) -> str:
        """Return the key as people write it: ``weather/daily``."""
        return "/".join(self.path)


@dataclass(frozen=True)
class AssetMaterialization:
    """Say that an op wrote something outside of Dagwire: a table, a file, a model."""

    asset_key: AssetKey | str | Sequence[str]
    description: str | None = None
    metadata: RawMetadata = field(default_factory=dict, kw_only=True)

    @property
    def key(self) -> AssetKey:
        """The asset's key, however it was given."""
        return self.asset_key if isinstance(self.asset_key, AssetKey) else AssetKey(self.asset_key)


@dataclass(frozen=True)
class ExpectationResult:
    """Say whether data is as expected. The step goes on either way."""

    success: bool
    label: str | None = None
    description: str | None = None
    metadata: RawMetadata = field(default_factory=dict, kw_only=True)


OpEvent = AssetMaterialization | ExpectationResult
"""What an op may yield, or pass to ``context.log_event``, beside its outputs."""


class Failure(Exception):  # noqa: N818 -- the name that users know
    """Raise it to fail a step on purpose, with a description and metadata for people."""

    def __init__(self, description: str | None = None, metadata: RawMetadata | None = None) -> None:
        super().__init__(description or "the op failed on purpose")
        self.description = description
        self.metadata: RawMetadata = dict(metadata or {})
