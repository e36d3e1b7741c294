"""The workspace file: which code servers there are. Reads YAML, connects to nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from dagwire_shared.errors import DagwireError, InvalidIdentifierError
from dagwire_shared.ids import check_location

_FIELDS: Final = ("host", "port", "location_name", "ssl")
_LARGEST_PORT: Final = 65535


class InvalidWorkspaceError(DagwireError):
    """Correct the workspace file at the place that the message names, then start again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeServer:
    """Where a code location is served."""

    name: str
    host: str
    port: int
    ssl: bool = False
    """True: TLS with the system's certificate authorities, for a server behind a proxy that ends it."""

    @property
    def address(self) -> str:
        """The host and port as gRPC wants them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Place:
    """A node of the YAML document, and how to complain about it."""

    path: Path
    node: yaml.Node

    def wrong(self, message: str) -> InvalidWorkspaceError:
        mark = self.node.start_mark
        return InvalidWorkspaceError(f"{self.path}, line {mark.line + 1}, column {mark.column + 1}: {message}")

    def entries(self, what: str) -> "dict[str, _Place]":
        """Return a mapping's values by key."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(f"expected {what}")
        found: dict[str, _Place] = {}
        for key, value in self.node.value:
            name = str(key.value)
            if name in found:
                raise _Place(self.path, key).wrong(f"{name!r} is given twice")
            found[name] = _Place(self.path, value)
        return found

    def items(self, what: str) -> "list[_Place]":
        """Return a list's items; an empty value is an empty list."""
        if isinstance(self.node, yaml.SequenceNode):
            return [_Place(self.path, item) for item in self.node.value]
        if self.node.tag == "tag:yaml.org,2002:null":
            return []
        raise self.wrong(f"expected {what}")

    def text(self, what: str) -> str:
        """Return a plain value."""
        if not isinstance(self.node, yaml.ScalarNode) or not self.node.value:
            raise self.wrong(f"expected {what}")
        return str(self.node.value)


def read_workspace(path: Path) -> tuple[CodeServer, ...]:
    """Return the code servers of a workspace file.

    The file has the form of Dagster's ``workspace.yaml``, for servers::

        load_from:
          - grpc_server: {host: my-code, port: 3030, location_name: my_code}

    Raises:
        InvalidWorkspaceError: says where the file is wrong, and what to write there.
    """
    root = _parse(path)
    if root is None:
        return ()
    top = _known(root.entries("a mapping with the key 'load_from'"), ("load_from",))
    if "load_from" not in top:
        raise root.wrong("the key 'load_from' is missing: it lists the code servers")
    return tuple(_servers(top["load_from"]))


def _parse(path: Path) -> _Place | None:
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise InvalidWorkspaceError(f"workspace file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidWorkspaceError(f"workspace file {path} is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise InvalidWorkspaceError(f"workspace file {path} is not YAML: {' '.join(str(error).split())}") from error
    return None if node is None else _Place(path, node)


def _servers(places: _Place) -> Iterator[CodeServer]:
    seen: set[str] = set()
    for place in places.items("a list of '- grpc_server: {host: …, port: …, location_name: …}'"):
        server = _server(place)
        if server.name in seen:
            raise place.wrong(f"location name {server.name!r} is given twice: give each server its own location_name")
        seen.add(server.name)
        yield server


def _server(place: _Place) -> CodeServer:
    entry = place.entries("'grpc_server: {host: …, port: …, location_name: …}'")
    if set(entry) != {"grpc_server"}:
        found = ", ".join(sorted(set(entry) - {"grpc_server"})) or "nothing"
        raise place.wrong(
            f"found {found} where only 'grpc_server' is known: Dagwire loads user code in a code server of its own; "
            "start `dagwire api grpc …` and give its host and port here"
        )
    fields = _known(entry["grpc_server"].entries("a mapping with host and port"), _FIELDS)
    missing = [name for name in ("host", "port") if name not in fields]
    if missing:
        raise place.wrong(f"grpc_server needs {' and '.join(missing)}")
    host = fields["host"].text("a host name")
    port = _port(fields["port"])
    return CodeServer(name=_name(fields, host, port), host=host, port=port, ssl=_flag(fields.get("ssl")))


def _known(entries: dict[str, _Place], names: tuple[str, ...]) -> dict[str, _Place]:
    for name, value in entries.items():
        if name not in names:
            raise value.wrong(f"{name!r} is not known here; known are {', '.join(names)}")
    return entries


def _port(place: _Place) -> int:
    text = place.text("a port number")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _LARGEST_PORT:
        raise place.wrong(f"{text!r} is not a port: it is a number from 1 to {_LARGEST_PORT}")
    return int(text)


def _flag(place: _Place | None) -> bool:
    if place is None:
        return False
    text = place.text("true or false").lower()
    if text not in {"true", "false"}:
        raise place.wrong(f"{text!r} is neither true nor false")
    return text == "true"


def _name(fields: dict[str, _Place], host: str, port: int) -> str:
    if "location_name" not in fields:
        return check_location(re.sub(r"[^A-Za-z0-9_-]+", "-", f"{host}-{port}").strip("-_")[:63])
    try:
        return check_location(fields["location_name"].text("a location name"))
    except InvalidIdentifierError as error:
        raise fields["location_name"].wrong(str(error)) from error
