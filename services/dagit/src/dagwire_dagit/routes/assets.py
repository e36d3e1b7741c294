"""Assets that runs materialized."""

from typing import Annotated

from fastapi import APIRouter, Query

from dagwire_dagit.models import Asset
from dagwire_dagit.permissions import Permission, requires
from dagwire_dagit.routes.parameters import PROBLEMS, Provided

router = APIRouter(prefix="/api/v1", tags=["assets"], dependencies=[requires(Permission.READ)], responses=PROBLEMS)


@router.get("/assets")
async def list_assets(services: Provided, limit: Annotated[int, Query(ge=1, le=5000)] = 1000) -> list[Asset]:
    """List the newest materialization of each asset, newest first."""
    return await services.store.assets(limit=limit)
