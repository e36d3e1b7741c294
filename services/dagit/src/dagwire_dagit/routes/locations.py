"""Code locations and their repositories."""

from fastapi import APIRouter

from dagwire_dagit.models import Location, RepositoryInfo
from dagwire_dagit.permissions import Permission, requires
from dagwire_dagit.routes.parameters import Provided

router = APIRouter(prefix="/api/v1", tags=["locations"], dependencies=[requires(Permission.READ)])


@router.get("/locations")
async def list_locations(services: Provided) -> list[Location]:
    """List every code location of the workspace, loaded or not."""
    return services.code.locations()


@router.get("/repositories")
async def list_repositories(services: Provided) -> list[RepositoryInfo]:
    """List the repositories of all code locations."""
    return services.code.repositories()
