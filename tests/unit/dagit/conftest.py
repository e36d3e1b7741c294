"""Dagit over a bus in memory, a history in memory and code locations without servers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from dagwire_dagit.app import create_app
from dagwire_dagit.services import Services
from dagwire_shared.memory import MemoryBus
from fastapi import FastAPI
from support.dagit import AT, LaggingStore, StillLocations, a_location


@dataclass
class Dagit:
    """A Dagit, and what it stands on."""

    bus: MemoryBus
    store: LaggingStore
    locations: StillLocations
    services: Services
    app: FastAPI
    client: httpx.AsyncClient
    granted: list[Any] = field(default_factory=list)


@pytest.fixture
async def dagit() -> AsyncIterator[Dagit]:
    bus = MemoryBus()
    store = LaggingStore(bus)
    locations = StillLocations(a_location())
    services = Services.build(bus=bus, store=store, locations=locations, clock=lambda: AT)
    app = create_app(services)
    task = asyncio.create_task(services.run())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await asyncio.wait_for(services.hub.ready(), 5)
        await asyncio.wait_for(services.schedules.ready(), 5)
        yield Dagit(bus, store, locations, services, app, client)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
