"""Makes a service a member of the bus: connected for as long as it runs, its streams made, both told by its health."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dagwire_shared.health import OK, Health
from dagwire_shared.jetstream.adapter import JetStreamBus, connect
from dagwire_shared.jetstream.topology import provision_in_time
from dagwire_shared.settings import BusSettings

BUS_CHECK = "bus"
"""The check that says whether the bus can be reached."""
STREAMS_CHECK = "streams"
"""The check that says whether the streams are made."""


class Member:
    """A service's place on the bus, whether or not the bus is there yet."""

    def __init__(self, bus: JetStreamBus, settings: BusSettings) -> None:
        self.bus = bus
        self._settings = settings
        self._provisioned = False

    async def provision(self) -> None:
        """Make the streams, or wait until they can be made.

        Raises:
            BusError: waiting would not help; see ``topology.provision``.
        """
        await provision_in_time(self.bus, replicas=self._settings.stream_replicas)
        self._provisioned = True

    def bus_check(self) -> str:
        """Say whether the bus can be reached now."""
        if self.bus.connected:
            return OK
        return "credential refused" if self.bus.connection.link.refused else "not connected"

    def streams_check(self) -> str:
        """Say whether the streams were made."""
        return OK if self._provisioned else "not made yet"


@asynccontextmanager
async def join(settings: BusSettings, *, name: str, inbox_prefix: str = "_INBOX") -> AsyncIterator[Member]:
    """Be a member of the bus while the context is open. The connection may come later, and come and go."""
    async with connect(settings.bus_address, name=name, inbox_prefix=inbox_prefix, deadline=None) as bus:
        yield Member(bus, settings)


@asynccontextmanager
async def joined(
    settings: BusSettings, health: Health, *, name: str, inbox_prefix: str = "_INBOX"
) -> AsyncIterator[JetStreamBus]:
    """Be a member of the bus from when its streams are made; the process is ready while it is connected.

    Raises:
        BusError: the streams cannot be made, and waiting would not help.
    """
    async with join(settings, name=name, inbox_prefix=inbox_prefix) as member:
        health.add(BUS_CHECK, member.bus_check)
        health.add(STREAMS_CHECK, member.streams_check)
        await member.provision()
        yield member.bus
