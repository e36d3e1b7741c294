"""Schedules: look at them, start and stop them."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query

from dagwire_dagit.models import Preview, Problem, Schedule, Ticks
from dagwire_dagit.permissions import Permission, requires
from dagwire_dagit.routes.parameters import PROBLEMS, LocationPath, NamePath, PageSize, Provided, Requester, Responses

router = APIRouter(prefix="/api/v1/schedules", tags=["schedules"], responses=PROBLEMS)

_SWITCH: Final[Responses] = {409: {"model": Problem, "description": "Somebody else switched it at the same time."}}


@router.get("", dependencies=[requires(Permission.READ)])
async def list_schedules(services: Provided) -> list[Schedule]:
    """List the schedules of all code locations."""
    return await services.schedules.list()


@router.post("/{location}/{repository}/{schedule}/start", dependencies=[requires(Permission.SWITCH)], responses=_SWITCH)
async def start_schedule(
    location: LocationPath, repository: NamePath, schedule: NamePath, services: Provided, requester: Requester
) -> Schedule:
    """Switch a schedule on. Send ``Content-Type: application/json``; no body is needed."""
    return await services.schedules.switch(location, repository, schedule, running=True, by=requester)


@router.post("/{location}/{repository}/{schedule}/stop", dependencies=[requires(Permission.SWITCH)], responses=_SWITCH)
async def stop_schedule(
    location: LocationPath, repository: NamePath, schedule: NamePath, services: Provided, requester: Requester
) -> Schedule:
    """Switch a schedule off. Send ``Content-Type: application/json``; no body is needed."""
    return await services.schedules.switch(location, repository, schedule, running=False, by=requester)


@router.get("/{location}/{repository}/{schedule}/ticks", dependencies=[requires(Permission.READ)])
async def list_ticks(
    location: LocationPath,
    repository: NamePath,
    schedule: NamePath,
    services: Provided,
    limit: PageSize = 50,
    before: Annotated[datetime | None, Query(description="The ``next`` of the page before.")] = None,
) -> Ticks:
    """List the ticks of a schedule, newest first."""
    return await services.schedules.ticks(location, repository, schedule, limit=limit, before=before)


@router.get("/{location}/{repository}/{schedule}/preview", dependencies=[requires(Permission.READ)])
async def preview_schedule(
    location: LocationPath,
    repository: NamePath,
    schedule: NamePath,
    services: Provided,
    count: Annotated[int, Query(ge=1, le=100)] = 5,
) -> Preview:
    """Return the next ticks by the cron rule."""
    return services.schedules.preview(location, repository, schedule, count=count)
