"""Metadata that user code attaches to outputs, materializations and expectations: values that can be shown."""

import math
import numbers
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import Any, TypeAlias

from dagwire_shared.events.values import Metadata, MetadataKind

_int, _float, _bool = int, float, bool  # the class below has methods of these names


class MetadataValue(Metadata):
    """One metadata entry whose kind is stated rather than guessed: ``MetadataValue.md("**12** rows")``."""

    @classmethod
    def text(cls, text: str) -> "MetadataValue":
        """Return plain text."""
        return cls(kind="text", value=text)

    @classmethod
    def url(cls, url: str) -> "MetadataValue":
        """Return a link."""
        return cls(kind="url", value=url)

    @classmethod
    def path(cls, path: "str | PathLike[str]") -> "MetadataValue":
        """Return a file or directory."""
        return cls(kind="path", value=fspath(path))

    @classmethod
    def md(cls, data: str) -> "MetadataValue":
        """Return Markdown."""
        return cls(kind="md", value=data)

    @classmethod
    def json(cls, data: Any) -> "MetadataValue":
        """Return anything that JSON can express."""
        return cls(kind="json", value=data)

    @classmethod
    def int(cls, value: _int) -> "MetadataValue":
        """Return a whole number."""
        return cls(kind="int", value=value)

    @classmethod
    def float(cls, value: _float) -> "MetadataValue":
        """Return a number; one that JSON cannot express becomes text."""
        return cls(kind="float", value=value) if math.isfinite(value) else cls(kind="text", value=str(value))

    @classmethod
    def bool(cls, value: _bool) -> "MetadataValue":
        """Return yes or no."""
        return cls(kind="bool", value=value)

    @classmethod
    def table(cls, records: Sequence[Mapping[str, Any]]) -> "MetadataValue":
        """Return a small table: one mapping per row."""
        return cls(kind="table", value=[dict(record) for record in records])

    @classmethod
    def timestamp(cls, value: "datetime | _float") -> "MetadataValue":
        """Return a point in time: an aware datetime, or seconds since 1970."""
        moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no time zone; a timestamp needs one")
        return cls(kind="timestamp", value=moment.astimezone(UTC).isoformat())

    @classmethod
    def null(cls) -> "MetadataValue":
        """Return that there is no value."""
        return cls(kind="null", value=None)


RawMetadata: TypeAlias = Mapping[str, Any]
"""What users pass: labels and values, plain or as ``MetadataValue``."""


def normalize_metadata(metadata: RawMetadata | None) -> dict[str, Metadata]:
    """Return user metadata with the kind of each value.

    Raises:
        TypeError: a value can neither be shown nor guessed.
    """
    return {str(label): _entry(str(label), value) for label, value in (metadata or {}).items()}


def _entry(label: str, value: Any) -> Metadata:
    if isinstance(value, Metadata):
        return Metadata(kind=value.kind, value=value.value)
    kind, plain = _guess(label, value)
    return Metadata(kind=kind, value=plain)


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
