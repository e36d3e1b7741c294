"""The routes of the HTTP API, with nothing behind them yet: what the OpenAPI document is made from."""

from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from dagwire_dagit.routes import assets, document, feed, info, jobs, locations, runs, schedules

ROUTERS: Final = (
    info.router,
    locations.router,
    jobs.router,
    runs.router,
    schedules.router,
    assets.router,
    feed.router,
    document.router,
)


def create_api() -> FastAPI:
    """Return the routes."""
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
