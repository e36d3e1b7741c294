"""The embedded PostgreSQL server: real processes, killed and started again."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dagwire_standalone.errors import DirectoryInUseError, PortInUseError, StandaloneError
from dagwire_standalone.postgres import PostgresServer
from support.postgres import OWNER, READER, Database, fresh_database


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dagwire-postgres-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def _count(server: PostgresServer, database: Database) -> int:
    with psycopg.connect(server.url(role=OWNER, database=database.name)) as connection:
        row = connection.execute("SELECT count(*) FROM things").fetchone()
    assert row is not None
    return int(row[0])


def _with_a_row(server: PostgresServer) -> Database:
    database = fresh_database(server)
    with psycopg.connect(database.url) as connection:
        connection.execute("CREATE TABLE things AS SELECT 1 AS one")
    return database


def test_roles_and_database_are_made_once_and_readers_cannot_write(postgres_server: PostgresServer):
    database = _with_a_row(postgres_server)
    postgres_server.provide(database.name, owner=OWNER, readers=[READER])
    with psycopg.connect(database.reader_url) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE mine (one int)")
    with psycopg.connect(database.reader_url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")  # the setting is a courtesy, the rights the rule
        for statement in ("CREATE TABLE mine (one int)", "CREATE TEMP TABLE mine (one int)", "SELECT * FROM things"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_wrong_password_is_refused_even_from_this_machine(postgres_server: PostgresServer):
    url = postgres_server.url().replace(postgres_server.password("postgres"), "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_the_data_survives_a_clean_stop_and_keeps_its_port(own_postgres_server: PostgresServer):
    database = _with_a_row(own_postgres_server)
    port = own_postgres_server.port
    own_postgres_server.stop()
    own_postgres_server.start()
    assert own_postgres_server.port == port
    assert _count(own_postgres_server, database) == 1


def test_the_data_survives_sigkill(own_postgres_server: PostgresServer):
    database = _with_a_row(own_postgres_server)
    # A connection that stays open keeps a backend alive for a moment after its parent died.
    with psycopg.connect(database.url) as connection:
        own_postgres_server.kill()
        own_postgres_server.stop()
        own_postgres_server.start()
        assert _count(own_postgres_server, database) == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_directory_in_use_is_refused_with_one_sentence(own_postgres_server: PostgresServer):
    second = PostgresServer(own_postgres_server.directory)
    with pytest.raises(DirectoryInUseError, match=rf"in use by process {os.getpid()}"):
        second.start()
    assert psycopg.connect(own_postgres_server.url()).execute("SELECT 1").fetchone() == (1,)


def test_a_port_in_use_is_refused_with_one_sentence(own_postgres_server: PostgresServer, directory: Path):
    second = PostgresServer(directory, port=own_postgres_server.port, durable=False)
    with pytest.raises(PortInUseError, match=rf"needs port {own_postgres_server.port}"):
        second.start()


def test_data_of_another_postgresql_version_is_refused_with_one_sentence(own_postgres_server: PostgresServer):
    own_postgres_server.stop()
    (own_postgres_server.directory / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StandaloneError, match=r"was made by PostgreSQL 9, this Dagwire carries 1\d"):
        own_postgres_server.start()


def test_a_start_that_was_killed_half_way_is_repeated(directory: Path):
    leftover = directory / "new-leftover" / "data"
    leftover.mkdir(parents=True)
    (leftover / "half").touch()
    with PostgresServer(directory, durable=False) as server:
        assert psycopg.connect(server.url()).execute("SELECT 1").fetchone() == (1,)
    assert not list(directory.glob("new-*"))


_STARTER = """
import sys, threading, time
from pathlib import Path
from dagwire_standalone.postgres import PostgresServer
server = PostgresServer(Path(sys.argv[1]), durable=False)
if sys.argv[2] == "thread":
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
else:
    server.start()
print(server.port, server.process.pid, flush=True)
time.sleep(600)
"""


def _started_elsewhere(directory: Path, how: str) -> tuple[subprocess.Popen[str], int, int]:
    command = [sys.executable, "-c", _STARTER, str(directory), how]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    port, pid = (int(word) for word in starter.stdout.readline().split())
    return starter, port, pid


def _kill(starter: subprocess.Popen[str]) -> None:
    starter.kill()
    starter.wait()
    assert starter.stdout is not None
    starter.stdout.close()


def test_the_server_ends_when_its_starter_is_killed(directory: Path):
    starter, _, _ = _started_elsewhere(directory, "main")
    _kill(starter)
    deadline = time.monotonic() + 20
    while (directory / "data" / "postmaster.pid").exists():  # the last thing that a server removes
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_left_by_a_killed_starter_is_replaced(directory: Path):
    starter, port, pid = _started_elsewhere(directory, "thread")
    _kill(starter)
    os.kill(pid, 0)  # started in a thread, it lives on
    with PostgresServer(directory, port=port, durable=False) as server:
        assert server.process is not None
        assert server.process.pid != pid
        assert psycopg.connect(server.url()).execute("SELECT 1").fetchone() == (1,)


def test_a_stale_pid_file_that_names_a_stranger_hurts_nobody(directory: Path):
    with PostgresServer(directory, durable=False) as server:
        port = server.port
        server.kill()
        stranger = subprocess.Popen(["sleep", "600"])
        pid_file = directory / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:3], str(port), *lines[4:]]) + "\n")
        server.stop()
        server.start()
        assert stranger.poll() is None
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()
