"""What is known of a code location at a moment, and how that changes. Pure.

A location that was loaded once keeps its last good definitions through every later trouble; they are
``stale`` then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb

from dagwire_shared.events.values import ErrorInfo
from dagwire_shared.locations.workspace import CodeServer


class Status(StrEnum):
    """How a code location is."""

    LOADING = "LOADING"
    """Not asked yet: the first answer is still to come."""
    LOADED = "LOADED"
    """The server answers, and its definitions are current."""
    FAILED = "FAILED"
    """The server answers that the user code does not load."""
    UNREACHABLE = "UNREACHABLE"
    """The server does not answer; it is tried again without end."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a code server says about its definitions, at one moment."""

    server: pb.ServerInfo
    repositories: Sequence[pb.Repository]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A code location at a moment. Its messages are shared: treat them as read-only."""

    name: str
    host: str
    port: int
    status: Status = Status.LOADING
    server: pb.ServerInfo | None = None
    """As it answered last, image and versions included."""
    error: ErrorInfo | None = None
    """Why it is FAILED or UNREACHABLE."""
    repositories: Mapping[str, pb.Repository] = field(default_factory=lambda: MappingProxyType({}))
    """The last good definitions, by name."""
    definitions_hash: str | None = None
    """Of the last good definitions; None: none were ever loaded."""
    loaded_at: datetime | None = None
    """When the server loaded them (UTC)."""

    @property
    def stale(self) -> bool:
        """Whether the definitions may be out of date."""
        return self.definitions_hash is not None and self.status is not Status.LOADED

    @classmethod
    def at_start(cls, server: CodeServer) -> "Location":
        """Return the state of a server that was not asked yet."""
        return cls(name=server.name, host=server.host, port=server.port)

    def with_snapshot(self, snapshot: Snapshot) -> "Location":
        """Return the state after the server answered: LOADED, or FAILED with what was good before."""
        definitions = snapshot.server.definitions
        if definitions.HasField("load_error"):
            return replace(self, status=Status.FAILED, server=snapshot.server, error=error_info(definitions.load_error))
        return replace(
            self,
            status=Status.LOADED,
            server=snapshot.server,
            error=None,
            repositories=MappingProxyType({repository.name: repository for repository in snapshot.repositories}),
            definitions_hash=definitions.definitions_hash,
            loaded_at=definitions.loaded_at.ToDatetime(tzinfo=UTC) if definitions.HasField("loaded_at") else None,
        )

    def unreachable(self, error: Exception) -> "Location":
        """Return the state after the server was found away."""
        return replace(self, status=Status.UNREACHABLE, error=ErrorInfo(type=type(error).__name__, message=str(error)))


def error_info(error: pb.Error) -> ErrorInfo:
    """Return a code server's error as events carry it."""
    return ErrorInfo(
        type=error.type,
        message=error.message,
        stack=list(error.stack),
        cause=error_info(error.cause) if error.HasField("cause") else None,
    )
