"""Brings a process to tables that it can use: migrates them, or waits until somebody has. Stores nothing itself."""

import asyncio
import sys
import time
from typing import Final

from dagwire_eventstore.database import CREDENTIAL_REFUSED, UNAVAILABLE, Database, is_up_to_date, may_store
from dagwire_eventstore.errors import DatabaseUnavailableError, MigrationError
from dagwire_eventstore.settings import EventStoreSettings

AGAIN_SECONDS: Final = 1.0


async def until_prepared(database: Database, settings: EventStoreSettings) -> None:
    """Return when the tables can be used, however long PostgreSQL or a migration is waited for.

    Raises:
        MigrationError: the tables cannot be brought up to date.
    """
    while True:
        try:
            prepared = await _is_prepared(database, settings)
        except UNAVAILABLE as error:
            database.went_away(error)
        else:
            if prepared:
                database.came_back()
                return
            database.waits_for_migration()
        await asyncio.sleep(AGAIN_SECONDS)


async def prepare(database: Database, settings: EventStoreSettings) -> None:
    """Bring the tables up to date, or see that they are.

    Raises:
        MigrationError: they are not.
    """
    if not await _is_prepared(database, settings):
        raise MigrationError("the tables are not up to date: run `python -m dagwire_eventstore migrate` first")


async def until_reachable(database: Database, *, within: float) -> None:
    """Return when PostgreSQL answers.

    Raises:
        DatabaseUnavailableError: it does not within so many seconds, or it refuses the credential.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            async with database.connect("migrate"):
                return
        except UNAVAILABLE as error:
            if time.monotonic() >= deadline or Database.kind_of(error) == CREDENTIAL_REFUSED:
                raise DatabaseUnavailableError(f"PostgreSQL does not answer: {error}") from error
            database.went_away(error)
        await asyncio.sleep(AGAIN_SECONDS)


async def _is_prepared(database: Database, settings: EventStoreSettings) -> bool:
    async with database.connect("start") as connection:
        if settings.migration == "await":
            return await may_store(connection)
        if await is_up_to_date(connection, roles=settings.roles):
            return True
    # In a process of its own: Alembic and SQLAlchemy would cost this one 35 MB and most of its start for nothing.
    migration = await asyncio.create_subprocess_exec(sys.executable, "-m", "dagwire_eventstore", "migrate")
    if await migration.wait() != 0:
        raise MigrationError("the tables could not be brought up to date: the line above says why")
    return True
