"""Who may do what in the database: an administrator migrates, a writer stores, a reader reads."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import psycopg
import pytest
from dagwire_eventstore.tables import TABLES
from dagwire_shared.jetstream import JetStreamBus
from dagwire_standalone.postgres import PostgresServer
from psycopg import sql
from support.buses import eventually
from support.eventstore import connected, history, store_process, stored_ids, streamed_ids, until_said, until_stored
from support.nats import NatsServer, free_port
from support.postgres import Database

AWKWARD = "p@ss:w/rd?#,%41 x'\"\\"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Roles:
    """A database's administrator, who is no superuser, and the names of roles that are not there yet."""

    server: PostgresServer
    database: str
    admin: str
    writer: str
    reader: str
    writer_password: str = AWKWARD
    reader_password: str = "r"

    def url(self, role: str, password: str) -> str:
        return f"postgresql://{quote(role)}:{quote(password, safe='')}@127.0.0.1:{self.server.port}/{self.database}"

    @property
    def admin_url(self) -> str:
        return self.url(self.admin, "admin")

    @property
    def writer_url(self) -> str:
        return self.url(self.writer, self.writer_password)

    @property
    def reader_url(self) -> str:
        return self.url(self.reader, self.reader_password)

    def migrate(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the command as a Job of a chart does: the address without, and the credential apart."""
        given = {
            "DATABASE_URL": f"postgresql://127.0.0.1:{self.server.port}/{self.database}",
            "DATABASE_USER": self.admin,
            "DATABASE_PASSWORD": "admin",
            "WRITER_ROLE": self.writer,
            "WRITER_PASSWORD": self.writer_password,
            "READER_ROLE": self.reader,
            "READER_PASSWORD": self.reader_password,
            **settings,
        }
        environment = {**os.environ, **{f"DAGWIRE_EVENTSTORE_{name}": value for name, value in given.items()}}
        command = [sys.executable, "-m", "dagwire_eventstore", "migrate"]
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


@pytest.fixture
def roles(postgres_server: PostgresServer, database: Database) -> Roles:
    number = next(_numbers)
    given = Roles(
        postgres_server, database.name, *(f"{name} {number}" for name in ("the admin", "Writer%s", "reader:"))
    )
    names = {"admin": sql.Identifier(given.admin), "database": sql.Identifier(database.name)}
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD 'admin'").format(**names))
        connection.execute(sql.SQL("ALTER DATABASE {database} OWNER TO {admin}").format(**names))
    return given


async def rejected(url: str, statement: str) -> bool:
    async with connected(url) as connection:
        try:
            await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            return True
        return False


async def test_each_role_may_do_what_it_needs_and_no_more(roles: Roles):
    done = roles.migrate()
    assert (done.returncode, done.stderr.count("database migrated")) == (0, 1), done.stderr

    for table in TABLES:
        assert not await rejected(roles.reader_url, f"TABLE {table}")
        assert await rejected(roles.reader_url, f"DELETE FROM {table}")  # noqa: S608 -- a name of ours
        assert not await rejected(roles.writer_url, f"DELETE FROM {table}")  # noqa: S608 -- a name of ours
        for url in (roles.reader_url, roles.writer_url):
            assert await rejected(url, f"DROP TABLE {table}")
            assert await rejected(url, f"ALTER TABLE {table} ADD COLUMN x int")
            assert await rejected(url, f"TRUNCATE {table}")
    for url in (roles.reader_url, roles.writer_url):
        assert await rejected(url, "CREATE TABLE mine (x int)")
        assert await rejected(url, "CREATE ROLE somebody")
        assert await rejected(url, "UPDATE alembic_version SET version_num = '0'")


async def test_no_password_stands_in_the_servers_log(roles: Roles, database: Database):
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            assert replace(roles, writer_password="hunter2secret").migrate().returncode == 0
        finally:
            connection.execute("ALTER SYSTEM RESET log_statement")
            connection.execute("SELECT pg_reload_conf()")
    said = roles.server.log_file.read_text()
    assert "CREATE ROLE" in said
    assert "hunter2secret" not in said


async def test_passwords_change_when_migrate_runs_again(roles: Roles):
    assert roles.migrate().returncode == 0
    async with connected(roles.writer_url) as storing:
        changed = replace(roles, writer_password="new", reader_password="newer")
        assert changed.migrate().returncode == 0
        assert await storing.fetch("TABLE runs") == []  # a session goes on
    for old, new in ((roles.writer_url, changed.writer_url), (roles.reader_url, changed.reader_url)):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(old)
        async with connected(new) as connection:
            assert await connection.fetch("TABLE runs") == []


async def test_a_store_waits_for_the_migration_and_then_stores_as_the_writer(
    roles: Roles, nats: NatsServer, bus: JetStreamBus, tmp_path: Path
):
    await bus.streams.publish_all(history())
    port = free_port()
    store = store_process(
        nats_url=nats.url,
        database_url=f"postgresql://127.0.0.1:{roles.server.port}/{roles.database}",
        database_user=roles.writer,
        database_password=roles.writer_password,
        migration="await",
        health_port=str(port),
        log=tmp_path / "store.log",
    )
    with store as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def check() -> tuple[int, str]:
                try:
                    answer = await client.get("/readyz")
                except httpx.TransportError:
                    return 0, ""
                return answer.status_code, answer.json()["checks"].get("database", "")

            async def shows(state: str) -> bool:
                return await check() == (200, state)

            await eventually(lambda: shows("credential refused, or no such database"))
            assert roles.migrate(WRITER_ROLE="", WRITER_PASSWORD="").returncode == 0
            assert roles.migrate().returncode == 0
            await until_stored(bus, roles.admin_url)
            await eventually(lambda: shows("ok"))
        assert await stored_ids(roles.reader_url) == await streamed_ids(bus)
        assert process.stop() == 0
        assert AWKWARD not in process.log.read_text()


async def test_a_store_that_waits_says_that_the_tables_are_not_there(
    roles: Roles, nats: NatsServer, bus: JetStreamBus, tmp_path: Path
):
    log = tmp_path / "store.log"
    with store_process(nats_url=nats.url, database_url=roles.admin_url, migration="await", log=log) as process:
        await until_said(process, "database not migrated yet", 1)
        assert roles.migrate().returncode == 0
        await until_said(process, "partition opened", 1)
        assert process.said("database not migrated yet") == 1


async def test_one_role_that_does_everything_needs_no_other(
    roles: Roles, nats: NatsServer, bus: JetStreamBus, tmp_path: Path
):
    done = roles.migrate(WRITER_ROLE=roles.admin, WRITER_PASSWORD="ignored", READER_ROLE="", READER_PASSWORD="")
    assert done.returncode == 0, done.stderr
    await bus.streams.publish_all(history())
    with store_process(nats_url=nats.url, database_url=roles.admin_url, migration="await", log=tmp_path / "log"):
        await until_stored(bus, roles.admin_url)
    assert await stored_ids(roles.admin_url) == await streamed_ids(bus)


def test_a_password_of_no_role_is_a_wrong_setting(roles: Roles):
    done = roles.migrate(WRITER_ROLE="")
    assert done.returncode == 2
    assert "DAGWIRE_EVENTSTORE_WRITER_PASSWORD: is a password of no role" in done.stderr


def test_a_credential_that_is_refused_is_said_at_once(roles: Roles):
    done = roles.migrate(DATABASE_PASSWORD="hunter2")
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr
    assert "hunter2" not in done.stderr


async def test_migrate_waits_for_a_database_that_is_not_there_yet(own_postgres_server: PostgresServer, tmp_path: Path):
    url = own_postgres_server.url()
    own_postgres_server.stop()
    migrating = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dagwire_eventstore", "migrate", stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DAGWIRE_EVENTSTORE_DATABASE_URL": url},
    )  # fmt: skip
    assert migrating.stderr is not None
    assert b"database unavailable" in await migrating.stderr.readline()
    own_postgres_server.start()
    said = (await migrating.communicate())[1]
    assert (migrating.returncode, said.count(b"database migrated")) == (0, 1)


async def test_migrate_that_waits_ends_when_it_is_told_to(tmp_path: Path):
    migrating = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dagwire_eventstore", "migrate", stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DAGWIRE_EVENTSTORE_DATABASE_URL": "postgresql://127.0.0.1:1/x"},
    )  # fmt: skip
    assert migrating.stderr is not None
    await migrating.stderr.readline()
    migrating.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await migrating.wait() == 128 + signal.SIGTERM
