"""Migrations on a real PostgreSQL."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dagwire_eventstore import migrations
from dagwire_eventstore.database import is_up_to_date, may_store
from dagwire_eventstore.errors import DatabaseUnavailableError, MigrationError
from dagwire_eventstore.rights import READER as READS
from dagwire_eventstore.rights import Role
from dagwire_eventstore.schema import migrate
from dagwire_eventstore.tables import METADATA
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from support.eventstore import connected
from support.postgres import READER, Database

MAY_READ = Role(READER, READS)


def differences(database: Database) -> list[object]:
    def is_ours(item: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
        return name != "alembic_version"

    engine = create_engine(make_url(database.url).set(drivername="postgresql+psycopg"))
    options = {"compare_type": True, "compare_server_default": True, "include_object": is_ours}
    with engine.connect() as connection:
        assert isinstance(connection, Connection)
        found = compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)
    engine.dispose()
    return list(found)


def test_the_migrations_make_the_tables_that_the_code_describes(database: Database):
    migrate(database.url)
    assert differences(database) == []


def test_the_newest_migration_is_known_by_name():
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == migrations.NEWEST


async def test_a_start_with_nothing_to_do_knows_it(database: Database):
    async with connected(database.url) as connection:
        assert not await is_up_to_date(connection, roles=[])
        migrate(database.url)
        assert await is_up_to_date(connection, roles=[])
        assert not await is_up_to_date(connection, roles=[MAY_READ])
        migrate(database.url, roles=[MAY_READ])
        assert await is_up_to_date(connection, roles=[MAY_READ])
        assert not await is_up_to_date(connection, roles=[Role("nobody_here", READS)])
        assert not await is_up_to_date(connection, roles=[Role(READER, READS, "a password to be set")])


async def test_a_store_that_waits_takes_tables_of_its_own_release_or_a_newer_one(database: Database):
    async with connected(database.url) as connection:
        assert not await may_store(connection)
        migrate(database.url)
        assert await may_store(connection)
        for revision, takes in (("0000", False), ("9999", True)):
            await connection.execute("UPDATE alembic_version SET version_num = $1", revision)
            assert await may_store(connection) == takes


def test_a_second_migration_changes_nothing(database: Database):
    migrate(database.url, roles=[MAY_READ])
    migrate(database.url, roles=[MAY_READ])
    assert differences(database) == []


async def test_replicas_that_start_at_once_migrate_once(database: Database):
    environment = {
        **os.environ,
        "DAGWIRE_EVENTSTORE_DATABASE_URL": database.url,
        "DAGWIRE_EVENTSTORE_READER_ROLE": READER,
    }
    command = [sys.executable, "-m", "dagwire_eventstore", "migrate"]
    processes = [
        await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
        for _ in range(4)
    ]
    said = [(await process.communicate())[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert sum(b"database migrated" in one for one in said) == 1
    async with connected(database.reader_url) as connection:
        assert await connection.fetch("TABLE runs") == []


def test_a_database_that_a_newer_release_changed_is_left_as_it_is(database: Database):
    migrate(database.url)
    engine = create_engine(make_url(database.url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    migrate(database.url)
    with engine.begin() as connection:
        assert connection.execute(text("TABLE alembic_version")).scalar() == "9999"
    engine.dispose()


def test_each_obstacle_is_one_sentence_without_the_password(database: Database):
    with pytest.raises(MigrationError, match="not of the form postgresql://"):
        migrate("nonsense")
    with pytest.raises(MigrationError, match=r"role 'nobody_here' .* does not exist"):
        migrate(database.url, roles=[Role("nobody_here", READS)])
    with pytest.raises(MigrationError, match="permission denied") as denied:
        migrate(database.reader_url)
    assert "\n" not in str(denied.value)
    with pytest.raises(DatabaseUnavailableError, match="does not answer") as refused:
        migrate("postgresql://someone:secret@127.0.0.1:1/x")
    assert "secret" not in str(refused.value)


def run_command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DAGWIRE_")}
    command = [sys.executable, "-m", "dagwire_eventstore", *arguments]
    return subprocess.run(command, env={**inherited, **settings}, check=False, capture_output=True, text=True)


def test_wrong_settings_and_wrong_arguments_end_with_code_2():
    missing = run_command()
    assert missing.returncode == 2
    assert "DAGWIRE_EVENTSTORE_NATS_URL: is not set" in missing.stderr
    assert "DAGWIRE_EVENTSTORE_DATABASE_URL: is not set" in missing.stderr
    assert "NATS_URL" not in run_command("migrate").stderr
    assert run_command("migrate").returncode == 2
    assert run_command("dance").returncode == 2
    assert "usage:" in run_command("--help").stdout


def test_a_migration_that_cannot_be_done_ends_with_code_1_and_one_sentence(database: Database):
    failed = run_command(
        "migrate",
        DAGWIRE_EVENTSTORE_DATABASE_URL="postgresql://someone:secret@127.0.0.1:1/x",
        DAGWIRE_EVENTSTORE_DATABASE_WAIT_SECONDS="0",
    )
    assert failed.returncode == 1
    assert len(failed.stderr.strip().splitlines()) == 1
    assert "secret" not in failed.stderr
