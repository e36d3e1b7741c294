"""What a caller may do, and the seam at which that is decided. Who the caller is, is not decided here.

Every route names its permission by ``requires``; a test walks all routes and fails on one that does not.
"""

from enum import StrEnum
from typing import Any, Final

from fastapi import Depends, Request

from dagwire_dagit.errors import ForbiddenError


class Permission(StrEnum):
    """One word per thing that can be granted."""

    PUBLIC = "public"
    """For probes: needs no identity. An exact list of routes, kept by a test; never a prefix."""
    READ = "read"
    LAUNCH = "launch"
    """Ask for runs and cancel them."""
    SWITCH = "switch"
    """Start and stop schedules."""


EVERYTHING: Final = frozenset(Permission)


class Requires:
    """The dependency that lets a request pass, or not."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> None:
        """Let the request pass if its caller was granted the permission."""
        granted: frozenset[Permission] = request.app.state.grants(request)
        if self.permission not in granted:
            raise ForbiddenError(f"this needs the permission {self.permission.value!r}; ask for it")


def requires(permission: Permission) -> Any:
    """Return the dependency by which a route declares its permission."""
    return Depends(Requires(permission))
