"""Metadata that user code attaches to outputs, materializations and expectations: values that can be shown."""

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import Any, Final, TypeAlias

from dagwire_shared.events.values import Metadata, MetadataKind
from pydantic_core import to_json, to_jsonable_python

MAX_TEXT: Final = 100_000
"""The longest text of one value, in characters: an event must fit into a message of the bus."""

_Int: TypeAlias = int  # the class below has methods of these names
_Float: TypeAlias = float
_Bool: TypeAlias = bool


@dataclass(frozen=True)
class MetadataValue:
    """One metadata entry whose kind is stated rather than guessed: ``MetadataValue.md("**12** rows")``."""

    kind: MetadataKind
    value: Any

    @classmethod
    def text(cls, text: str) -> "MetadataValue":
        """Return plain text."""
        return cls("text", text)

    @classmethod
    def url(cls, url: str) -> "MetadataValue":
        """Return a link."""
        return cls("url", url)

    @classmethod
    def path(cls, path: "str | PathLike[str]") -> "MetadataValue":
        """Return a file or directory."""
        return cls("path", fspath(path))

    @classmethod
    def md(cls, data: str) -> "MetadataValue":
        """Return Markdown."""
        return cls("md", data)

    @classmethod
    def json(cls, data: Any) -> "MetadataValue":
        """Return anything that JSON can express."""
        return cls("json", data)

    @classmethod
    def int(cls, value: _Int) -> "MetadataValue":
        """Return a whole number."""
        return cls("int", value)

    @classmethod
    def float(cls, value: _Float) -> "MetadataValue":
        """Return a number; one that JSON cannot express becomes text."""
        return cls("float", value) if math.isfinite(value) else cls("text", str(value))

    @classmethod
    def bool(cls, value: _Bool) -> "MetadataValue":
        """Return yes or no."""
        return cls("bool", value)

    @classmethod
    def table(cls, records: Sequence[Mapping[str, Any]]) -> "MetadataValue":
        """Return a small table: one mapping per row."""
        return cls("table", [dict(record) for record in records])

    @classmethod
    def timestamp(cls, value: "datetime | _Float") -> "MetadataValue":
        """Return a point in time: an aware datetime, or seconds since 1970."""
        moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no time zone; a timestamp needs one")
        return cls("timestamp", moment.astimezone(UTC).isoformat())

    @classmethod
    def null(cls) -> "MetadataValue":
        """Return that there is no value."""
        return cls("null", None)


RawMetadata: TypeAlias = Mapping[str, Any]
"""What users pass: labels and values, plain or as ``MetadataValue``."""


def normalize_metadata(metadata: RawMetadata | None) -> dict[str, Metadata]:
    """Return user metadata with the kind of each value.

    Raises:
        TypeError: a value can neither be shown nor guessed.
    """
    return {str(label): _entry(str(label), value) for label, value in (metadata or {}).items()}


def _entry(label: str, value: Any) -> Metadata:
    stated = value if isinstance(value, MetadataValue) else MetadataValue(*_guess(label, value))
    plain = shown_text(stated.value) if isinstance(stated.value, str) else shown_json(stated.value, limit=MAX_TEXT)
    return Metadata(kind=stated.kind, value=plain)


def shown_text(text: str) -> str:
    """Return a text that is short enough for an event."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"


def shown_json(value: Any, *, limit: int) -> Any:
    """Return a value as JSON that is short enough for an event; what JSON cannot express becomes text."""
    plain = to_jsonable_python(value, fallback=repr, serialize_unknown=True, inf_nan_mode="strings")
    size = len(to_json(plain))
    return plain if size <= limit else f"(too large to be shown: {size} bytes)"


def _guess(label: str, value: Any) -> tuple[MetadataKind, Any]:
    plain: tuple[MetadataKind, Any]
    match value:
        case None:
            plain = "null", None
        case bool():
            plain = "bool", value
        case str():
            plain = "text", value
        case numbers.Integral():
            plain = "int", int(value)
        case numbers.Real():
            number = MetadataValue.float(float(value))
            plain = number.kind, number.value
        case datetime():
            plain = "timestamp", MetadataValue.timestamp(value).value
        case PathLike():
            plain = "path", fspath(value)
        case Mapping() | list() | tuple():
            plain = "json", value
        case _:
            raise TypeError(
                f"metadata {label!r}: a {type(value).__name__} cannot be shown; "
                "convert it, or state its kind with MetadataValue.text, .md, .json or .table"
            )
    return plain
