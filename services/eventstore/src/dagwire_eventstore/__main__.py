"""``python -m dagwire_eventstore [migrate | rebuild]``: puts the parts together."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from dagwire_shared.errors import DagwireError, SettingsError
from dagwire_shared.jetstream import connect, provision
from dagwire_shared.logs import configure_logging
from dagwire_shared.process import EXIT_FAILURE, EXIT_SETTINGS, run_service

from dagwire_eventstore.database import UNAVAILABLE, Database
from dagwire_eventstore.errors import DatabaseUnavailableError
from dagwire_eventstore.rebuild import rebuild
from dagwire_eventstore.schema import migrate
from dagwire_eventstore.service import EventStore
from dagwire_eventstore.settings import EventStoreSettings

NAME: Final = "dagwire-eventstore"
USAGE: Final = f"""usage: python -m dagwire_eventstore [migrate | rebuild]

  (nothing)  bring the tables up to date, then store events until told to stop
  migrate    bring the tables up to date
  rebuild    make runs, steps, ticks and assets anew from the stored events

Settings are environment variables DAGWIRE_EVENTSTORE_…; see the README of {NAME}."""
_MIGRATE_AGAIN_SECONDS: Final = 1.0


async def serve(settings: EventStoreSettings) -> None:
    """Store events until cancelled."""
    database = Database(settings.database_url)
    while True:
        try:
            await asyncio.to_thread(migrate, settings.database_url, reader_role=settings.reader_role)
        except DatabaseUnavailableError as error:
            database.went_away(error)
            await asyncio.sleep(_MIGRATE_AGAIN_SECONDS)
        else:
            database.came_back()
            break
    async with connect(settings.nats_url, name=NAME) as bus:
        await provision(bus)
        await EventStore(bus, database, settings).run()


async def _rebuild(settings: EventStoreSettings) -> None:
    def show(total: int) -> None:
        _say(f"\r{total} events applied")

    await asyncio.to_thread(migrate, settings.database_url, reader_role=settings.reader_role)
    try:
        async with Database(settings.database_url).connect("rebuild", command_seconds=None) as connection:
            total = await rebuild(connection, on_progress=show)
    except UNAVAILABLE as error:
        raise DatabaseUnavailableError(f"the projections are as they were: {type(error).__name__}: {error}") from error
    _say(f"\r{total} events applied: runs, steps, ticks and assets are rebuilt\n")


def main(arguments: Sequence[str]) -> NoReturn:
    """Run the service or one of its commands."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
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
    try:
        settings = EventStoreSettings.load()
    except SettingsError as error:
        _say(f"{NAME}: {error}\n")
        return EXIT_SETTINGS
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    try:
        if command == "migrate":
            migrate(settings.database_url, reader_role=settings.reader_role)
        else:
            asyncio.run(_rebuild(settings))
    except DagwireError as error:
        _say(f"{NAME}: {error}\n")
        return EXIT_FAILURE
    return 0


if __name__ == "__main__":
    main(sys.argv[1:])
