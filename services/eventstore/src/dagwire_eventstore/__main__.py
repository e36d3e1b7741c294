"""``python -m dagwire_eventstore [migrate | rebuild]``: puts the parts together."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from dagwire_shared.errors import DagwireError, SettingsError
from dagwire_shared.health import Health
from dagwire_shared.jetstream.member import joined
from dagwire_shared.logs import configure_logging
from dagwire_shared.process import EXIT_FAILURE, EXIT_SETTINGS, run_service

from dagwire_eventstore.database import UNAVAILABLE, Database
from dagwire_eventstore.errors import DatabaseUnavailableError
from dagwire_eventstore.rebuild import rebuild
from dagwire_eventstore.service import EventStore
from dagwire_eventstore.settings import EventStoreSettings, MigrationSettings
from dagwire_eventstore.startup import prepare, until_prepared, until_reachable

NAME: Final = "dagwire-eventstore"
USAGE: Final = f"""usage: python -m dagwire_eventstore [migrate | rebuild]

  (nothing)  bring the tables up to date, then store events until told to stop
  migrate    bring the tables up to date, make the roles that are named, and grant them what they need
  rebuild    make runs, steps, ticks and assets anew from the stored events

Settings are environment variables DAGWIRE_EVENTSTORE_…; see the README of {NAME}."""


async def serve(settings: EventStoreSettings, health: Health) -> None:
    """Store events until cancelled."""
    # A batch makes tens of thousands of objects that die with it: looking for cycles among them at every 700 of them
    # was 7 % of the time per event.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    database = Database(settings.database_address)
    health.add("database", lambda: database.state, informs=True)
    async with joined(settings, health, name=NAME, inbox_prefix="_INBOX_eventstore") as bus:
        await until_prepared(database, settings)
        await EventStore(bus, database, settings).run()


async def _rebuild(settings: EventStoreSettings) -> None:
    def show(total: int) -> None:
        _say(f"\r{total} events applied")

    database = Database(settings.database_address)
    try:
        await prepare(database, settings)
        async with database.connect("rebuild", command_seconds=None) as connection:
            total = await rebuild(connection, on_progress=show)
    except UNAVAILABLE as error:
        raise DatabaseUnavailableError(f"the projections are as they were: {type(error).__name__}: {error}") from error
    _say(f"\r{total} events applied: runs, steps, ticks and assets are rebuilt\n")


def _migrate(settings: MigrationSettings) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asyncio.run(until_reachable(Database(settings.database_address), within=settings.database_wait_seconds))
    from dagwire_eventstore.schema import migrate  # noqa: PLC0415 -- no other command pays for Alembic

    migrate(settings.database_address, roles=settings.roles)


def main(arguments: Sequence[str]) -> NoReturn:
    """Run the service or one of its commands."""
    match arguments:
        case []:
            run_service(NAME, EventStoreSettings, serve)
        case ["migrate" | "rebuild" as command]:
            sys.exit(_command(command))
        case ["-h" | "--help"]:
            sys.stdout.write(f"{USAGE}\n")
            sys.exit(0)
        case _:
            _say(f"{USAGE}\n")
            sys.exit(EXIT_SETTINGS)


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _command(command: str) -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # the first process of a pod has no default
    try:
        return _run(command)
    except SettingsError as error:
        _say(f"{NAME}: {error}\n")
        return EXIT_SETTINGS
    except DagwireError as error:
        _say(f"{NAME}: {error}\n")
        return EXIT_FAILURE


def _run(command: str) -> int:
    if command == "migrate":
        settings = MigrationSettings.load()
        configure_logging(level=settings.log_level, log_format=settings.log_format)
        _migrate(settings)
    else:
        of_store = EventStoreSettings.load()
        configure_logging(level=of_store.log_level, log_format=of_store.log_format)
        asyncio.run(_rebuild(of_store))
    return 0


if __name__ == "__main__":
    main(sys.argv[1:])
