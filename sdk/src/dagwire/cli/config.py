"""Reads a run config that a person wrote: a file, a text or stdin; YAML or JSON. Knows no job."""

import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import click
import yaml

_LONGEST_NAME: Final = 4096


class _Loader(yaml.SafeLoader):
    """YAML as a run config means it: dates stay text, and a key that is there twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 -- PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(source: str) -> dict[str, Any]:
    """Return the run config of ``--config``: a file's name, ``-`` for stdin, or the config itself.

    Raises:
        click.BadParameter: there is no such file, or it holds no config.
    """
    text, place = _text(source)
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 -- a SafeLoader
    except yaml.YAMLError as error:
        raise click.BadParameter(f"{place} is neither YAML nor JSON: {_brief(error)}", param_hint="--config") from error
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise click.BadParameter(
            f"{place} holds {_kind(value)}, a run config is a mapping like `ops: {{load: {{config: {{limit: 3}}}}}}`",
            param_hint="--config",
        )
    return value


def _text(source: str) -> tuple[str, str]:
    if source == "-":
        return sys.stdin.read(), "stdin"
    if source.lstrip().startswith(("{", "[")):
        return source, "the text"
    try:
        return Path(source).read_text(encoding="utf-8"), source
    except FileNotFoundError:
        hint = "; a config on the command line is written as JSON, beginning with {" if ":" in source else ""
        raise click.BadParameter(f"there is no file {source[:_LONGEST_NAME]!r}{hint}", param_hint="--config") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise click.BadParameter(f"{source} cannot be read: {reason}", param_hint="--config") from error


def _brief(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).split("\n", maxsplit=1)[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark is not None else str(problem)


def _kind(value: object) -> str:
    return (
        "a list"
        if isinstance(value, list)
        else "a mapping with other keys than texts"
        if isinstance(value, dict)
        else f"the value {value!r}"
    )
