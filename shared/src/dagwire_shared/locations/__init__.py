"""Code locations: which code servers there are, what each serves now, and questions to them.

``Locations`` watches every code server of the workspace file over gRPC and keeps the last good definitions
while a server is away or its code is broken. It talks to code servers only, never to the bus.
"""

from dagwire_shared.locations.errors import (
    CodeServerError,
    InvalidRequestError,
    LocationError,
    LocationTimeoutError,
    LocationUnavailableError,
    NotFoundError,
)
from dagwire_shared.locations.registry import Locations
from dagwire_shared.locations.state import Location, Snapshot, Status, error_info
from dagwire_shared.locations.workspace import CodeServer, InvalidWorkspaceError, read_workspace

__all__ = [
    "CodeServer",
    "CodeServerError",
    "InvalidRequestError",
    "InvalidWorkspaceError",
    "Location",
    "LocationError",
    "LocationTimeoutError",
    "LocationUnavailableError",
    "Locations",
    "NotFoundError",
    "Snapshot",
    "Status",
    "error_info",
    "read_workspace",
]
