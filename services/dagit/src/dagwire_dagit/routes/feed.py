"""The live feed: Server-Sent Events, history and live as one sequence."""

from typing import Annotated, Final

from dagwire_shared.ids import RunIdField
from dagwire_shared.subjects import Kind
from fastapi import APIRouter, Header, Query, Response

from dagwire_dagit.cursors import CursorText
from dagwire_dagit.errors import InvalidRequestError
from dagwire_dagit.models import ErrorDetail
from dagwire_dagit.permissions import Permission, requires
from dagwire_dagit.ring import LIFE
from dagwire_dagit.routes.parameters import PROBLEMS, Provided, Responses

router = APIRouter(prefix="/api/v1", tags=["feed"], responses=PROBLEMS)

_STREAM: Final[Responses] = {
    200: {
        "description": "Frames: ``event: event`` with ``id: <cursor>`` and a FeedEvent as data; once history is "
        "delivered ``event: caught-up`` with ``id`` and a CaughtUp; without id ``event: location`` with a Location and "
        "``event: schedule`` with a Schedule when one changed; a comment every 15 s. A client that reads too slowly "
        "is disconnected, and resumes where it was.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/feed", dependencies=[requires(Permission.READ)], response_class=Response, responses=_STREAM)
async def follow_feed(
    services: Provided,
    run: Annotated[RunIdField | None, Query(description="Of one run, from its first event.")] = None,
    kind: Annotated[
        list[Kind] | None,
        Query(description="Of these kinds only. Without ``run``: launch, run and tick, which it is too when left out."),
    ] = None,
    after: Annotated[CursorText | None, Query(description="Only what comes after this cursor.")] = None,
    last_event_id: Annotated[
        CursorText | None, Header(description="Sent by a browser that resumes; beats ``after``.")
    ] = None,
) -> Response:
    """Follow events as they happen: none twice, none missing, over reconnects and replicas.

    Without ``run`` the feed is of the whole instance and begins now, unless ``after`` says where.
    """
    if run is None and not set(kind or ()) <= LIFE:
        detail = ErrorDetail(path=["query", "kind"], message="without run: launch, run and tick only")
        raise InvalidRequestError("query.kind: name a run to follow its other kinds", details=[detail])
    return services.feed(run=run, kinds=kind or (), after=last_event_id or after)
