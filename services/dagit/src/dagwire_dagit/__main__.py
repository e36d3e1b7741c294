"""The process: ``python -m dagwire_dagit``. Puts the parts together and runs them."""

import asyncio
import logging

from dagwire_shared.health import Health
from dagwire_shared.jetstream.member import join
from dagwire_shared.locations import Locations, read_workspace
from dagwire_shared.model import utc_now
from dagwire_shared.process import run_service

from dagwire_dagit.app import LOCAL_HOSTS, create_app
from dagwire_dagit.database import Database
from dagwire_dagit.queries import PostgresStore
from dagwire_dagit.server import Server, listen
from dagwire_dagit.services import Services
from dagwire_dagit.settings import Settings

log = logging.getLogger("dagwire_dagit")


async def main(settings: Settings, health: Health) -> None:
    """Serve until cancelled, from the start on: with what is there of bus and database, and with more as it comes."""
    servers = read_workspace(settings.workspace) if settings.workspace is not None else ()
    with listen(settings.host, settings.port) as listener:
        database = Database(settings.database_address, statement_seconds=settings.statement_seconds)
        async with database, join(settings, name="dagit", inbox_prefix="_INBOX_dagit") as member:
            services = Services.build(
                bus=member.bus,
                store=PostgresStore(database),
                locations=Locations(servers),
                clock=utc_now,
                health=health,
                ring_bytes=settings.ring_bytes,
                feeds=settings.feeds,
            )
            health.add("streams", member.streams_check, informs=True)
            app = create_app(services, allowed_hosts=[*LOCAL_HOSTS, settings.host, *settings.allowed_hosts])
            server = Server(app, before_stop=services.hub.close, stop_seconds=settings.stop_seconds)
            host, port = listener.getsockname()[:2]
            log.info("dagit listens", extra={"host": host, "port": port})
            async with asyncio.TaskGroup() as group:
                group.create_task(services.run(), name="services")
                group.create_task(server.run_until_cancelled(listener), name="server")
                group.create_task(member.provision(), name="streams")


if __name__ == "__main__":
    run_service("dagit", Settings, main)
