"""Jobs: their graphs, and whether a run config fits them."""

from fastapi import APIRouter

from dagwire_dagit.models import ConfigRequest, Job, JobSummary, Plan, Validation
from dagwire_dagit.permissions import Permission, requires
from dagwire_dagit.routes.parameters import PROBLEMS, LocationPath, NamePath, Provided

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], dependencies=[requires(Permission.READ)], responses=PROBLEMS)


@router.get("")
async def list_jobs(services: Provided) -> list[JobSummary]:
    """List the jobs of all code locations."""
    return services.code.jobs()


@router.get("/{location}/{repository}/{job}")
async def get_job(location: LocationPath, repository: NamePath, job: NamePath, services: Provided) -> Job:
    """Return a job with its graph, presets, resources and the JSON Schema of its config."""
    return services.code.job(location, repository, job)


@router.post("/{location}/{repository}/{job}/validate")
async def validate_config(
    location: LocationPath, repository: NamePath, job: NamePath, body: ConfigRequest, services: Provided
) -> Validation:
    """Say whether a run config fits the job, and each place where it does not."""
    return await services.code.validate(location, repository, job, body)


@router.post("/{location}/{repository}/{job}/plan")
async def plan_job(
    location: LocationPath, repository: NamePath, job: NamePath, body: ConfigRequest, services: Provided
) -> Plan:
    """Return the steps that a run with this config would execute."""
    return await services.code.plan(location, repository, job, body)
