"""Runs: ask for one, look at them, cancel one."""

from typing import Annotated, Literal

from dagwire_shared.events import LogLevel
from dagwire_shared.ids import LocationName, Name
from dagwire_shared.subjects import Kind
from fastapi import APIRouter, Header, Query, Response
from pydantic import AwareDatetime

from dagwire_dagit import pages
from dagwire_dagit.cursors import CursorText
from dagwire_dagit.models import CancelAccepted, Events, Launched, LaunchRequest, Problem, RunDetail, Runs, RunStatus
from dagwire_dagit.permissions import Permission, requires
from dagwire_dagit.routes.parameters import PROBLEMS, EventPageSize, KeyHeader, PageSize, Provided, Requester, RunPath
from dagwire_dagit.store import RunFilter

router = APIRouter(prefix="/api/v1/runs", tags=["runs"], responses=PROBLEMS)


@router.post("", status_code=202, dependencies=[requires(Permission.LAUNCH)])
async def launch_run(
    body: LaunchRequest,
    services: Provided,
    requester: Requester,
    idempotency_key: KeyHeader = None,
    idempotency_key_time: Annotated[
        AwareDatetime | None,
        Header(description="When the key was made. With it, launching needs no look into the history."),
    ] = None,
) -> Launched:
    """Ask for a run. Accepted means that the stream holds the request: it will run once, whatever happens.

    Sent again with the same ``Idempotency-Key``, today or in a month, the answer is the same run. After a 503
    whether the request was accepted is unknown: send it again under the same key.
    """
    return await services.launches.launch(
        body, key=idempotency_key, key_time=idempotency_key_time, requested_by=requester
    )


@router.get("", dependencies=[requires(Permission.READ)])
async def list_runs(
    services: Provided,
    *,
    status: Annotated[list[RunStatus] | None, Query(description="Any of these.")] = None,
    location: LocationName | None = None,
    repository: Name | None = None,
    job: Name | None = None,
    schedule: Annotated[Name | None, Query(description="The schedule that asked for it.")] = None,
    tag: Annotated[list[str] | None, Query(description="``key=value``; all of these.", max_length=16)] = None,
    requested_by: Literal["api", "cli", "ui", "schedule", "bus"] | None = None,
    limit: PageSize = 50,
    before: CursorText | None = None,
) -> Runs:
    """List runs, newest first."""
    tags = pages.parse_tags(tag or (), schedule=schedule)
    wanted = RunFilter(
        statuses=status or (), location=location, repository=repository, job=job, tags=tags, requested_by=requested_by
    )
    return await pages.runs_page(services.store, wanted, limit=limit, before=before)


@router.get("/{run_id}", dependencies=[requires(Permission.READ)])
async def get_run(run_id: RunPath, services: Provided) -> RunDetail:
    """Return one run with its steps. Right after the launch it may be unknown still: follow the feed."""
    return await pages.run_detail(services.store, services.hub, run_id)


@router.get("/{run_id}/events", dependencies=[requires(Permission.READ)], response_model=Events)
async def list_run_events(
    run_id: RunPath,
    services: Provided,
    after: CursorText | None = None,
    limit: EventPageSize = 1000,
    kind: Annotated[list[Kind] | None, Query()] = None,
    level: Annotated[list[LogLevel] | None, Query(description="Log and engine events of these levels only.")] = None,
) -> Response:
    """Return stored events of a run from a cursor on, oldest first. The feed gives the same events, and live."""
    return await pages.events_page(
        services.store, run_id, kinds=kind or (), levels=level or (), after=after, limit=limit
    )


@router.post(
    "/{run_id}/cancel",
    status_code=202,
    dependencies=[requires(Permission.LAUNCH)],
    responses={409: {"model": Problem, "description": "The run has ended."}},
)
async def cancel_run(run_id: RunPath, services: Provided, requester: Requester) -> CancelAccepted:
    """Ask that a run ends. Send ``Content-Type: application/json``; no body is needed."""
    return await services.launches.cancel(run_id, requested_by=requester)
