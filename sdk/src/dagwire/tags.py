"""Tags as users write them: labels, which are text, and among them what a pod shall be like, which is JSON.

What the fields of a pod mean is the launcher's business, and is checked there.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from dagwire.errors import DefinitionError

KUBERNETES_TAG: Final = "dagwire/kubernetes"
"""The tag of jobs, graphs and ops that says what the pods they run in shall be like."""
KUBERNETES_TAGS: Final = (KUBERNETES_TAG, "dagster-k8s/config")
"""That tag, and the name under which code that moves here knows it."""

LARGEST_CONFIG: Final = 32 * 1024
"""Of one pod config, as JSON in bytes: it travels with every request for a run."""
_DEEPEST: Final = 32
_MAX_TAG: Final = 256


@dataclass(frozen=True)
class Tags:
    """The tags of a job, a graph, an op or a placed node."""

    labels: Mapping[str, str] = field(default_factory=dict)
    container_config: Mapping[str, Any] | None = None
    """What the pod shall be like; None: nothing is said."""


def read_tags(tags: Mapping[str, Any] | None, what: str) -> Tags:
    """Return tags, those about pods apart.

    Raises:
        DefinitionError: a tag is not what it must be; the message begins with ``what``.
    """
    given = tags or {}
    named = [key for key in KUBERNETES_TAGS if key in given]
    labels = {key: value for key, value in given.items() if key not in KUBERNETES_TAGS}
    if len(named) > 1:
        raise DefinitionError(f"{what}: tags {named[0]!r} and {named[1]!r} say the same; keep one of them")
    config = _pod_config(given[named[0]], f"{what}: tag {named[0]!r}") if named else None
    return Tags(MappingProxyType(valid_tags(labels, what)), config)


def valid_tags(tags: Mapping[str, Any] | None, what: str) -> dict[str, str]:
    """Return tags as text.

    Raises:
        DefinitionError: a tag is no string, number or boolean, or too long, or one that belongs on a job or an op.
    """
    result = {}
    for key, value in (tags or {}).items():
        if key in KUBERNETES_TAGS:
            raise DefinitionError(f"{what}: tag {key!r} belongs on a job, a graph or an op; here it would do nothing")
        if not isinstance(key, str) or not isinstance(value, str | int | float | bool):
            raise DefinitionError(f"{what}: tag {key!r}: {value!r} is not text; tags are strings")
        text = value if isinstance(value, str) else str(value)
        if max(len(key), len(text)) > _MAX_TAG:
            raise DefinitionError(f"{what}: tag {key[:40]!r} is longer than {_MAX_TAG} characters")
        result[key] = text
    return result


def _pod_config(value: Any, what: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise DefinitionError(f"{what} is no JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise DefinitionError(f"{what} is a mapping of fields, or its JSON, not {_shown(value)}")
    config: dict[str, Any] = _as_json(value, what, (), _DEEPEST)
    size = len(json.dumps(config).encode())
    if size > LARGEST_CONFIG:
        raise DefinitionError(f"{what} has {size} bytes as JSON; at most {LARGEST_CONFIG} are taken")
    return config


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _as_json(value: Any, what: str, path: tuple[str, ...], deepest: int) -> Any:
    """Return a copy of a value that is plain JSON, so that nobody changes it later.

    Raises:
        DefinitionError: it is not.
    """
    if deepest == 0:
        raise DefinitionError(f"{what} is nested deeper than {_DEEPEST} levels")
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return [_as_json(one, what, (*path, str(number)), deepest - 1) for number, one in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise DefinitionError(f"{what}{_at(path)}: the key {key!r} is not text")
        return {key: _as_json(one, what, (*path, key), deepest - 1) for key, one in value.items()}
    raise DefinitionError(f"{what}{_at(path)}: {_shown(value)} is not JSON; write mappings, lists, text and numbers")


def _at(path: tuple[str, ...]) -> str:
    return f" at {'.'.join(path)}" if path else ""


def _shown(value: Any) -> str:
    return f"{value!r:.80} (a {type(value).__name__})"
