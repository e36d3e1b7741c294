"""What the routes work with: put together once, passed in, run as long as the process lives. Decides nothing."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from dagwire_shared.bus import Bus
from dagwire_shared.health import OK, Health
from dagwire_shared.ids import RunId
from dagwire_shared.locations import Locations
from dagwire_shared.subjects import Kind

from dagwire_dagit.code import Code
from dagwire_dagit.cursors import parse_cursor
from dagwire_dagit.errors import UnavailableError
from dagwire_dagit.feed import Feed, Wanted
from dagwire_dagit.hints import Hints
from dagwire_dagit.hub import RING_BYTES, Hub
from dagwire_dagit.launches import Launches
from dagwire_dagit.schedules import Schedules
from dagwire_dagit.sse import EventStream
from dagwire_dagit.store import Store

FEEDS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind the routes."""

    bus: Bus
    store: Store
    locations: Locations
    code: Code
    hub: Hub
    hints: Hints
    launches: Launches
    schedules: Schedules
    health: Health
    feeds: int
    """How many clients may follow at once."""

    @classmethod
    def build(
        cls,
        *,
        bus: Bus,
        store: Store,
        locations: Locations,
        clock: Callable[[], datetime],
        health: Health | None = None,
        ring_bytes: int = RING_BYTES,
        feeds: int = FEEDS,
    ) -> Self:
        """Put the services together over what they talk to."""
        code = Code(locations)
        hub = Hub(bus, store, ring_bytes=ring_bytes)
        schedules = Schedules(bus=bus, code=code, store=store, clock=clock)
        return cls(
            bus=bus,
            store=store,
            locations=locations,
            code=code,
            hub=hub,
            hints=Hints(bus=bus, locations=locations, schedules=schedules, hub=hub),
            launches=Launches(bus=bus, code=code, store=store, hub=hub, clock=clock),
            schedules=schedules,
            health=_checked(health or Health(), bus, store),
            feeds=feeds,
        )

    async def run(self) -> None:
        """Follow the stream, the code locations and the switches until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.locations.run(), name="locations")
            group.create_task(self.hub.run(), name="hub")
            group.create_task(self.hints.run(), name="hints")

    def feed(self, *, run: RunId | None, kinds: Sequence[Kind], after: str | None) -> EventStream:
        """Return the answer that streams a client's feed.

        Raises:
            UnavailableError: too many clients follow this replica already.
        """
        if self.hub.clients >= self.feeds:
            raise UnavailableError(
                f"{self.feeds} clients follow this Dagit already; try again, or run more replicas", code="feed_full"
            )
        wanted = Wanted(aggregate=run, kinds=frozenset(kinds), after=parse_cursor(after) if after is not None else None)
        return EventStream(Feed(self.hub, self.store, wanted).chunks())


def _checked(health: Health, bus: Bus, store: Store) -> Health:
    """Add what Dagit stands on: the bus alone is of use for what happens now, the database alone for history."""

    async def database() -> str:
        return OK if await store.reachable() else "not readable"

    health.add("bus", lambda: OK if bus.connected else "not connected", group="live or history")
    health.add("database", database, group="live or history")
    return health
