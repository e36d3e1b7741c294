"""The FastAPI application: its routes, and what is laid around them. Dependencies are passed in."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from dagwire_dagit.routes import assets, feed, info, jobs, locations, runs, schedules

ROUTERS: Final = (info.router, locations.router, jobs.router, runs.router, schedules.router, assets.router, feed.router)


def create_api() -> FastAPI:
    """Return the API's routes without anything behind them: what the OpenAPI document is made from."""
    api = FastAPI(
        title="Dagit",
        summary="The HTTP API of Dagwire.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=_operation_id,
    )
    for router in ROUTERS:
        api.include_router(router)
    return api


def _operation_id(route: APIRoute) -> str:
    return route.name
