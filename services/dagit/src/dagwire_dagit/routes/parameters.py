"""What several routes take: the services, checked path and query parameters, who asks."""

from typing import Annotated, Any, Final

from dagwire_shared.events import RequestedBy
from dagwire_shared.ids import IdempotencyKey, LocationName, Name, RunIdField
from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator

from dagwire_dagit.models import Problem
from dagwire_dagit.services import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _requested_by(x_dagwire_client: Annotated[str | None, Header()] = None) -> RequestedBy:
    match x_dagwire_client:
        case "ui" | "cli":
            return RequestedBy(kind=x_dagwire_client)
        case _:
            return RequestedBy(kind="api", name=x_dagwire_client[:64] if x_dagwire_client else None)


Provided = Annotated[Services, Depends(_services)]
Requester = Annotated[RequestedBy, Depends(_requested_by)]
"""From the header ``X-Dagwire-Client``: ``ui``, ``cli``, or what an API client calls itself."""

LocationPath = Annotated[LocationName, Path()]
NamePath = Annotated[Name, Path()]
RunPath = Annotated[RunIdField, Path()]


def _check_ascii(key: str) -> str:
    if not key.isascii():
        raise ValueError("use ASCII: other characters reach servers in different ways")
    return key


KeyHeader = Annotated[Annotated[IdempotencyKey, AfterValidator(_check_ascii)] | None, Header()]

PageSize = Annotated[int, Query(ge=1, le=500)]
EventPageSize = Annotated[int, Query(ge=1, le=5000)]

Responses = dict[int | str, dict[str, Any]]

PROBLEMS: Final[Responses] = {
    404: {"model": Problem, "description": "No such thing."},
    422: {"model": Problem, "description": "The request is wrong; ``details`` names each place."},
    503: {"model": Problem, "description": "A part is away; ``Retry-After`` says when to try again."},
}
"""The answers that any route may give beside its own."""
