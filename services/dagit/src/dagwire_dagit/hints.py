"""What clients are told beside events: a code location or a schedule changed. A lost hint costs a reload."""

import asyncio
import logging
from typing import Final

from dagwire_shared.bus import Bus
from dagwire_shared.errors import BusError
from dagwire_shared.locations import Locations

from dagwire_dagit import snapshots
from dagwire_dagit.errors import ApiError
from dagwire_dagit.frames import hint_frame
from dagwire_dagit.hub import Hub
from dagwire_dagit.schedules import PREFIX, Schedules

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0


class Hints:
    """Watches code locations and switches, and tells every connected client."""

    def __init__(self, *, bus: Bus, locations: Locations, schedules: Schedules, hub: Hub) -> None:
        self._bus = bus
        self._locations = locations
        self._schedules = schedules
        self._hub = hub

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_locations())
            group.create_task(self._watch_switches())

    async def _watch_locations(self) -> None:
        async for state in self._locations.changes():
            self._hub.hint(hint_frame("location", snapshots.location(state)))

    async def _watch_switches(self) -> None:
        while True:
            try:
                async for entry in self._bus.state.watch(PREFIX):
                    switch = self._schedules.note(entry)
                    if switch is not None:
                        await self._tell(switch.location, switch.repository, switch.schedule)
            except BusError as error:
                log.warning("switches cannot be watched, trying again", extra={"cause": str(error)})
            await asyncio.sleep(RETRY_SECONDS)

    async def _tell(self, location: str, repository: str, schedule: str) -> None:
        try:
            self._hub.hint(hint_frame("schedule", await self._schedules.one(location, repository, schedule)))
        except ApiError as error:
            log.debug("no hint of a schedule", extra={"schedule": schedule, "cause": str(error)})
