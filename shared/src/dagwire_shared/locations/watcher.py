"""Watches one code server: connects, reads its definitions at each change, and connects again, for ever.

Says what it finds through a callback; decides nothing about it.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from dagwire_shared.locations.client import Client
from dagwire_shared.locations.errors import LocationError, LocationUnavailableError
from dagwire_shared.locations.state import Location
from dagwire_shared.locations.workspace import CodeServer

_log: Final = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(milliseconds=100)
LONGEST_PAUSE: Final = timedelta(seconds=2)
"""A server that comes back is seen this soon; one try costs a refused connection."""


def pause_before(attempt: int, chance: float) -> timedelta:
    """Return how long to wait before the given try (from 1), spread by ``chance`` (0 to 1) over half of it."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(attempt - 1, 16)))
    return pause * (0.5 + chance / 2)


class Watcher:
    """One code server, followed as long as ``run`` runs."""

    def __init__(self, server: CodeServer, changed: Callable[[Location], None]) -> None:
        self._server = server
        self._changed = changed
        self._location = Location.at_start(server)
        self._client: Client | None = None
        self._failures = 0

    @property
    def location(self) -> Location:
        """What is known now."""
        return self._location

    @property
    def client(self) -> Client:
        """The open connection.

        Raises:
            LocationUnavailableError: there is none now.
        """
        if self._client is None:
            error = self._location.error
            why = error.message if error is not None else "it is being connected to"
            raise LocationUnavailableError(f"code location {self._server.name!r} cannot be asked now: {why}")
        return self._client

    async def run(self) -> None:
        """Follow the server until cancelled."""
        while True:
            try:
                await self._follow()
            except LocationError as error:
                self._note(error)
            self._failures += 1
            await asyncio.sleep(pause_before(self._failures, random.random()).total_seconds())  # noqa: S311 -- jitter

    async def _follow(self) -> None:
        async with Client(self._server) as client:
            try:
                async for _ in client.watch():
                    snapshot = await client.snapshot()
                    self._client = client
                    self._failures = 0
                    self._set(self._location.with_snapshot(snapshot))
            finally:
                self._client = None

    def _note(self, error: LocationError) -> None:
        if self._failures == 0:
            _log.warning("code server is away", extra={"location": self._server.name, "cause": str(error)})
        self._set(self._location.unreachable(error))

    def _set(self, location: Location) -> None:
        if location != self._location:
            if location.status is not self._location.status:
                facts = {"location": location.name, "status": location.status, "hash": location.definitions_hash}
                _log.info("code location changed", extra=facts)
            self._location = location
            self._changed(location)
