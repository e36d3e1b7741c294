"""``python -m dagwire_eventstore [migrate | rebuild]``: puts the parts together."""

import asyncio
import gc
import logging
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from dagwire_shared.errors import DagwireError, SettingsError
from dagwire_shared.jetstream import connect, provision
from dagwire_shared.logs import configure_logging
from dagwire_shared.process import EXIT_FAILURE, EXIT_SETTINGS, run_service

from dagwire_eventstore.database import UNAVAILABLE, Database, is_up_to_date
from dagwire_eventstore.errors import DatabaseUnavailableError, MigrationError
from dagwire_eventstore.rebuild import rebuild
from dagwire_eventstore.service import EventStore
from dagwire_eventstore.settings import EventStoreSettings

NAME: Final = "dagwire-eventstore"
USAGE: Final = f"""usage: python -m dagwire_eventstore [migrate | rebuild]

  (nothing)  bring the tables up to date, then store events until told to stop
  migrate    bring the tables up to date
  rebuild    make runs, steps, ticks and assets anew from the stored events

Settings are environment variables DAGWIRE_EVENTSTORE_…; see the README of {NAME}."""
_PREPARE_AGAIN_SECONDS: Final = 1.0


async def serve(settings: EventStoreSettings) -> None:
    """Store events until cancelled."""
    # A batch makes tens of thousands of objects that die with it: looking for cycles among them at every 700 of them
    # was 7 % of the time per event.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    database = Database(settings.database_url)
    while True:
        try:
            await _prepare(database, settings)
        except UNAVAILABLE as error:
            database.went_away(error)
            await asyncio.sleep(_PREPARE_AGAIN_SECONDS)
        else:
            database.came_back()
            break
    async with connect(settings.nats_url, name=NAME) as bus:
        await provision(bus)
        await EventStore(bus, database, settings).run()


async def _prepare(database: Database, settings: EventStoreSettings) -> None:
    """Bring the tables up to date if they are not.

    In a process of its own: Alembic and SQLAlchemy would cost this one 35 MB and most of its start for nothing.
    """
    async with database.connect("start") as connection:
        if await is_up_to_date(connection, reader_role=settings.reader_role):
            return
    migration = await asyncio.create_subprocess_exec(sys.executable, "-m", "dagwire_eventstore", "migrate")
    if await migration.wait() != 0:
        raise MigrationError("the tables could not be brought up to date: the line above says why")


async def _rebuild(settings: EventStoreSettings) -> None:
    def show(total: int) -> None:
        _say(f"\r{total} events applied")

    database = Database(settings.database_url)
    try:
        await _prepare(database, settings)
        async with database.connect("rebuild", command_seconds=None) as connection:
            total = await rebuild(connection, on_progress=show)
    except UNAVAILABLE as error:
        raise DatabaseUnavailableError(f"the projections are as they were: {type(error).__name__}: {error}") from error
    _say(f"\r{total} events applied: runs, steps, ticks and assets are rebuilt\n")


def _migrate(settings: EventStoreSettings) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from dagwire_eventstore.schema import migrate  # noqa: PLC0415 -- see _prepare: no other command pays for it

    migrate(settings.database_url, reader_role=settings.reader_role)


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
    try:
        settings = EventStoreSettings.load()
    except SettingsError as error:
        _say(f"{NAME}: {error}\n")
        return EXIT_SETTINGS
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    try:
        if command == "migrate":
            _migrate(settings)
        else:
            asyncio.run(_rebuild(settings))
    except DagwireError as error:
        _say(f"{NAME}: {error}\n")
        return EXIT_FAILURE
    return 0


if __name__ == "__main__":
    main(sys.argv[1:])
