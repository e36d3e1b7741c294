"""Makes what is generated of the Helm chart: its values' schema, its README, and the table of Dagster's keys.

Reads ``values.yaml`` with its comments, ``values.schema.yaml`` and ``files/dagster.yaml``; renders no template.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

HELM: Final = Path(__file__).parent.parent / "deploy" / "helm"
CHART: Final = HELM / "dagwire"

_SECTION: Final = re.compile(r"^# -{3,} (.+?) -{3,}$")
_KEY: Final = re.compile(r"^( *)([A-Za-z]\w*):(?: (.*))?$")
_INDENT: Final = 2


@dataclass(frozen=True, slots=True)
class Value:
    """One key of ``values.yaml`` with the comment before it."""

    path: tuple[str, ...]
    comment: str
    section: str
    default: str
    """The default as YAML on one line; empty for a key that has keys below it."""

    @property
    def name(self) -> str:
        """The path as Helm's ``--set`` wants it."""
        return ".".join(self.path)


def documented_values() -> Iterator[Value]:
    """Yield every key that has a line of its own in ``values.yaml``."""
    section, comment, path = "", [], []
    for line in (CHART / "values.yaml").read_text(encoding="utf-8").splitlines():
        if heading := _SECTION.match(line):
            section, comment = heading[1], []
        elif line.lstrip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
        elif key := _KEY.match(line):
            depth = len(key[1]) // _INDENT
            path = [*path[:depth], key[2]]
            yield Value(tuple(path), " ".join(comment), section, key[3] or "")
            comment = []
        else:
            comment = []


def schema() -> dict[str, Any]:
    """Return the JSON schema of the values."""
    document: dict[str, Any] = json.loads(json.dumps(yaml.safe_load((HELM / "values.schema.yaml").read_text("utf-8"))))
    _close(document)
    _describe(document)
    for entry in dagster_keys():
        _accept(document, document, entry["key"].split("."))
    for name, ours in {"dagsterWebserver": "dagit", "dagster-user-deployments": "userDeployments"}.items():
        document["properties"][name] = document["properties"][ours]
    return document


def dagster_keys() -> list[dict[str, Any]]:
    """Return the table of the keys of Dagster's chart."""
    table: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / "dagster.yaml").read_text("utf-8"))
    return table


def _close(node: Any) -> None:
    """Let every object have its known keys only, unless it says otherwise."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and "type" in node:
            node.setdefault("additionalProperties", False)
        for child in node.values():
            _close(child)
    elif isinstance(node, list):
        for child in node:
            _close(child)


def _describe(document: dict[str, Any]) -> None:
    for value in documented_values():
        node: dict[str, Any] | None = document
        for part in value.path:
            node = (_resolved(document, node).get("properties") or {}).get(part) if node is not None else None
        if node is not None and value.comment:
            node["description"] = value.comment


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: dict[str, Any] = document["definitions"][node["$ref"].rpartition("/")[2]]
    return found


def _accept(document: dict[str, Any], node: dict[str, Any], path: list[str]) -> None:
    """Let a key of Dagster's chart pass: the templates say what becomes of it."""
    part, rest = path[0].removesuffix("[]"), path[1:]
    properties = node.setdefault("properties", {})
    if not rest:
        properties[part] = properties[part] | {"additionalProperties": True} if part in properties else {}
        return
    child = properties.setdefault(part, {"type": "object", "properties": {}, "additionalProperties": False})
    if "$ref" in child:
        child = properties[part] = json.loads(json.dumps(_resolved(document, child)))
    for below in (child["items"], child["additionalProperties"]) if path[0].endswith("[]") else (child,):
        if child.get("additionalProperties") is not True and below:
            _accept(document, _resolved(document, below), rest)


def readme() -> str:
    """Return the chart's README: its values, by section."""
    lines = [(HELM / "README.head.md").read_text("utf-8").rstrip()]
    values = list(documented_values())
    comments = {value.path: value.comment for value in values}
    section = ""
    for value in values:
        if value.section != section:
            section = value.section
            lines += ["", f"## {section}", "", "| value | default | |", "|---|---|---|"]
        comment = value.comment or comments.get(("common", *value.path[1:]), "")
        default = f"`{value.default}`" if value.default else ""
        lines.append(f"| `{value.name}` | {_cell(default)} | {_cell(comment)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def migration_page() -> str:
    """Return the page about Dagster's chart: what is written by hand, and the table of its keys."""
    lines = [
        (HELM / "dagster.head.md").read_text("utf-8").rstrip(),
        "",
        "| key of Dagster's chart | here |",
        "|---|---|",
    ]
    lines += [f"| `{entry['key']}` | {_cell(_fate(entry))} |" for entry in dagster_keys()]
    return "\n".join(lines) + "\n"


def _fate(entry: dict[str, Any]) -> str:
    if "becomes" in entry:
        targets: Sequence[str] = [entry["becomes"]] if isinstance(entry["becomes"], str) else entry["becomes"]
        return ", ".join(f"`{target}`" for target in targets)
    return f"**refused**: {entry['refused']}" if "refused" in entry else f"ignored: {entry['ignored']}"
