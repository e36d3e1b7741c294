"""What this Dagit is, and whether it is well."""

from importlib.metadata import version

from fastapi import APIRouter, Response

from dagwire_dagit.models import Health, Info
from dagwire_dagit.permissions import Permission, requires
from dagwire_dagit.routes.parameters import Provided

router = APIRouter(tags=["info"])


@router.get("/api/v1/info", dependencies=[requires(Permission.READ)])
async def get_info(services: Provided) -> Info:
    """Say the version, and the epoch of the events stream."""
    return Info(version=version("dagwire-dagit"), epoch=services.hub.epoch)


@router.get("/healthz", dependencies=[requires(Permission.PUBLIC)])
async def get_health() -> Health:
    """Say that the process lives."""
    return Health(status="ok")


@router.get("/readyz", dependencies=[requires(Permission.PUBLIC)], responses={503: {"model": Health}})
async def get_readiness(services: Provided, response: Response) -> Health:
    """Say whether bus or database can be reached: one of them is of use. ``checks`` tells what is missing."""
    report = await services.health.report()
    response.status_code = 200 if report.ready else 503
    return Health(status="ok" if report.ready else "unavailable", checks=dict(report.checks))
