"""One real PostgreSQL server per test session (per pytest-xdist worker), a fresh database per test.

Import the fixtures into the ``conftest.py`` of a folder (``from support.postgres import database, postgres_server``),
then ask for ``database``.
The server gives up durability (no fsync): a crash of the machine would lose it, a kill of its processes does not.
"""

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from dagwire_standalone.postgres import PostgresServer
from psycopg import sql

OWNER = "dagwire"
READER = "dagwire_reader"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database with its two roles."""

    name: str
    url: str
    """As the owner, who may do everything in it: the event store's."""
    reader_url: str
    """As a role without any rights of its own: Dagit's, once the event store granted it SELECT."""
    superuser_url: str


def fresh_database(server: PostgresServer) -> Database:
    """Make an empty database."""
    name = f"test_{next(_numbers)}"
    server.provide(name, owner=OWNER, readers=[READER])
    return Database(
        name=name,
        url=server.url(role=OWNER, database=name),
        reader_url=server.url(role=READER, database=name),
        superuser_url=server.url(database=name),
    )


def drop_database(server: PostgresServer, name: str) -> None:
    """Drop a database, cutting the connections to it."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A new server in a directory that is removed with it.

    Not below pytest's ``tmp_path``: each session closes that tree to all but its user, and a server that is started
    by root runs as somebody else.
    """
    with (
        tempfile.TemporaryDirectory(prefix="dagwire-postgres-", ignore_cleanup_errors=True) as directory,
        PostgresServer(Path(directory), durable=False) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server. A test that stops or kills it takes ``own_postgres_server`` instead."""
    with running_server() as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A database of this test's own, empty."""
    fresh = fresh_database(postgres_server)
    yield fresh
    drop_database(postgres_server, fresh.name)


@pytest.fixture
def postgres_url(database: Database) -> str:
    """The address of a database of this test's own, empty, as its owner."""
    return database.url


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server of this test's own, to be killed, stopped and started at will."""
    with running_server() as server:
        yield server
