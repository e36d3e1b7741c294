"""Brings the tables up to date, and lets roles use them. Any number of processes may do so at once."""

import logging
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dagwire_shared.addresses import postgres_address
from dagwire_shared.logs import redact
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from dagwire_eventstore.errors import DatabaseUnavailableError, MigrationError
from dagwire_eventstore.locks import FAMILY, MIGRATION
from dagwire_eventstore.rights import Role
from dagwire_eventstore.roles import provide
from dagwire_eventstore.tables import TABLES

log = logging.getLogger(__name__)

_SCRIPTS: Final = "dagwire_eventstore:migrations"
_CONNECT_SECONDS: Final = 10


def migrate(address: str, *, roles: Sequence[Role] = ()) -> None:
    """Create or update the tables, and grant roles what they may do with them.

    A database that a newer release has already changed is left as it is: changes only add.

    Raises:
        DatabaseUnavailableError: the database cannot be reached now.
        MigrationError: it does not allow it, or the address is wrong.
    """
    try:
        postgres_address(address)
        with _engine(address).connect() as connection:
            # Held by the session, over all transactions: a second replica waits here and then finds nothing to do.
            connection.execute(text("SELECT pg_advisory_lock(:family, :lock)"), {"family": FAMILY, "lock": MIGRATION})
            connection.commit()
            _upgrade(connection)
            for role in roles:
                provide(_driver(connection), role, tables=TABLES)
    except ValueError as error:
        raise MigrationError(f"the database address {error}") from error
    except (OperationalError, psycopg.OperationalError) as error:
        raise DatabaseUnavailableError(f"PostgreSQL does not answer: {_cause(error)}") from error
    except (SQLAlchemyError, psycopg.Error) as error:
        raise MigrationError(f"the tables cannot be brought up to date: {_cause(error)}") from error


def _engine(address: str) -> Engine:
    """Return an engine whose addresses are read by PostgreSQL's own library, as asyncpg reads them."""

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(address, connect_timeout=_CONNECT_SECONDS, application_name="dagwire-eventstore migrate")

    return create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 -- the engine's creator makes it
    return driver


def _cause(error: Exception) -> str:
    return " ".join(redact(str(getattr(error, "orig", None) or error)).split())


def configuration(connection: Connection) -> Config:
    """Return what Alembic needs to work on a connection."""
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    config = configuration(connection)
    scripts = ScriptDirectory.from_config(config)
    present, newest = MigrationContext.configure(connection).get_current_revision(), scripts.get_current_head()
    connection.commit()
    known = {script.revision for script in scripts.walk_revisions()}
    if present is not None and present not in known:
        log.warning("database is newer than this release", extra={"revision": present, "newest_known": newest})
        return
    if present != newest:
        command.upgrade(config, "head")
        connection.commit()
        log.info("database migrated", extra={"from_revision": present, "revision": newest})
