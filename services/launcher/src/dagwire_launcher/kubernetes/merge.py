"""Lays one piece of configuration over another: mappings field by field, lists by what names their entries. No I/O."""

from collections.abc import Mapping
from typing import Any, Final

SHALLOW: Final = "SHALLOW"
BEHAVIOR: Final = "mergeBehavior"

_NAMED_BY: Final = {
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "containers": "name",
    "initContainers": "name",
    "sidecarContainers": "name",
    "imagePullSecrets": "name",
    "ports": "containerPort",
    "hostAliases": "ip",
}
"""Lists whose entries have a name: one with the same name takes the lower one's place."""

_MERGED: Final = frozenset({"containers", "initContainers", "sidecarContainers"})
"""… and is laid over it; of the others it replaces it whole (a variable has a value or a source, not both)."""

_REPLACED: Final = frozenset({"command", "args"})
"""Lists whose order means something."""


def merge_layers(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Return a layer laid over those below it, as its merge behavior says."""
    said = {key: value for key, value in upper.items() if key != BEHAVIOR}
    return {**lower, **said} if upper.get(BEHAVIOR) == SHALLOW else overlay(lower, said)


def overlay(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``upper`` laid over ``lower``, at every depth."""
    merged = dict(lower)
    for key, value in upper.items():
        merged[key] = _overlay(key, merged[key], value) if key in merged else value
    return merged


def _overlay(key: str, lower: Any, upper: Any) -> Any:
    if isinstance(lower, Mapping) and isinstance(upper, Mapping):
        return overlay(lower, upper)
    if isinstance(lower, list) and isinstance(upper, list) and key not in _REPLACED:
        return _overlay_named(key, lower, upper) if _is_named(key, lower + upper) else _append(lower, upper)
    return upper


def _is_named(key: str, entries: list[Any]) -> bool:
    name = _NAMED_BY.get(key)
    return name is not None and all(isinstance(entry, Mapping) and name in entry for entry in entries)


def _overlay_named(key: str, lower: list[Any], upper: list[Any]) -> list[Any]:
    name = _NAMED_BY[key]
    merged = {entry[name]: entry for entry in lower}
    for entry in upper:
        below = merged.get(entry[name])
        merged[entry[name]] = overlay(below, entry) if below is not None and key in _MERGED else entry
    return list(merged.values())


def _append(lower: list[Any], upper: list[Any]) -> list[Any]:
    return [*lower, *(entry for entry in upper if entry not in lower)]
