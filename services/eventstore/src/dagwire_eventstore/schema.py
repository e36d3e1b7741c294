"""Brings the tables up to date, and lets the reading role see them. Any number of processes may do so at once."""

import logging
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dagwire_shared.logs import redact
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from dagwire_eventstore.errors import DatabaseUnavailableError, MigrationError
from dagwire_eventstore.locks import FAMILY, MIGRATION
from dagwire_eventstore.tables import TABLES

log = logging.getLogger(__name__)

_SCRIPTS: Final = "dagwire_eventstore:migrations"
_CONNECT_SECONDS: Final = 10


def migrate(database_url: str, *, reader_role: str | None = None) -> None:
    """Create or update the tables, and grant ``reader_role`` to read them.

    A database that a newer release has already changed is left as it is: changes only add.

    Raises:
        DatabaseUnavailableError: the database cannot be reached now.
        MigrationError: it does not allow it, or the address is wrong.
    """
    try:
        url = make_url(database_url).set(drivername="postgresql+psycopg")
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS})
        with engine.connect() as connection:
            # Held by the session, over all transactions: a second replica waits here and then finds nothing to do.
            connection.execute(text("SELECT pg_advisory_lock(:family, :lock)"), {"family": FAMILY, "lock": MIGRATION})
            connection.commit()
            _upgrade(connection)
            if reader_role is not None:
                _grant(connection, reader_role)
    except ArgumentError as error:
        raise MigrationError("the database address is not of the form postgresql://user:password@host/name") from error
    except OperationalError as error:
        raise DatabaseUnavailableError(f"PostgreSQL does not answer: {_cause(error)}") from error
    except SQLAlchemyError as error:
        raise MigrationError(f"the tables cannot be brought up to date: {_cause(error)}") from error


def _cause(error: SQLAlchemyError) -> str:
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


def _grant(connection: Connection, reader_role: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": reader_role}).first()
    if known is None:
        raise MigrationError(
            f"the role {reader_role!r} that shall read the tables does not exist: "
            f"make it with CREATE ROLE, or leave the reader role unset"
        )
    names = ", ".join(quote(table) for table in TABLES)
    connection.execute(text(f"GRANT SELECT ON {names} TO {quote(reader_role)}"))
    connection.commit()
