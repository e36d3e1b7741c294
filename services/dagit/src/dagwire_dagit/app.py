"""The FastAPI application: its routes, and what is laid around them. Dependencies are passed in."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request

from dagwire_dagit import openapi, problems
from dagwire_dagit.api import create_api
from dagwire_dagit.permissions import EVERYTHING, Permission
from dagwire_dagit.security import Guard
from dagwire_dagit.services import Services
from dagwire_dagit.site import STATIC, site_router

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")

Grants = Callable[[Request], frozenset[Permission]]
"""Says what the caller of a request may do."""


def create_app(
    services: Services,
    *,
    allowed_hosts: Iterable[str] = LOCAL_HOSTS,
    grants: Grants | None = None,
    static: Path = STATIC,
) -> FastAPI:
    """Return the application over these services."""
    app = create_api()
    app.include_router(site_router(static))
    app.state.services = services
    app.state.document = openapi.text
    app.state.grants = grants if grants is not None else everything
    problems.install(app)
    app.add_middleware(Guard, allowed_hosts=allowed_hosts)
    return app


def everything(_: Request) -> frozenset[Permission]:
    """Grant everything to everybody: until there are identities, whoever reaches Dagit may use it."""
    return EVERYTHING
