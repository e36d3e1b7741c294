"""Makes the roles of the database and grants each what it needs and no more. Run by whoever migrates.

A password reaches the server only as the verifier that it stores, so it stands in no log of the server.
"""

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from dagwire_eventstore.errors import MigrationError
from dagwire_eventstore.rights import Role

_REVISION_TABLE: Final = "alembic_version"


def provide(connection: psycopg.Connection[Any], role: Role, *, tables: Sequence[str]) -> None:
    """Make a role if it is not there, set its password, and let it do what it may, in one transaction.

    The role that migrates owns the tables: nothing is done about it.

    Raises:
        MigrationError: the role is missing, and no password to make it with was given.
    """
    if connection.execute("SELECT current_user = %s", [role.name]).fetchone() == (True,):
        return
    _make(connection, role)
    _let_in(connection, role)
    rights = sql.SQL(", ").join(map(sql.SQL, role.rights))
    granted = {
        "tables": sql.SQL(", ").join(map(sql.Identifier, tables)),
        "revision": sql.Identifier(_REVISION_TABLE),
        "role": sql.Identifier(role.name),
    }
    connection.execute(sql.SQL("REVOKE ALL ON {tables}, {revision} FROM {role}").format(**granted))
    connection.execute(sql.SQL("GRANT {rights} ON {tables} TO {role}").format(rights=rights, **granted))
    connection.execute(sql.SQL("GRANT SELECT ON {revision} TO {role}").format(**granted))
    connection.commit()


def _make(connection: psycopg.Connection[Any], role: Role) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role.name]).fetchone()
    if role.password is None:
        if known is None:
            raise MigrationError(
                f"the role {role.name!r} that shall use the tables does not exist: make it with CREATE ROLE, or give "
                "its password so that it is made, or leave the role unset"
            )
        return
    statement = (
        "ALTER ROLE {role} LOGIN PASSWORD {verifier}" if known else "CREATE ROLE {role} LOGIN PASSWORD {verifier}"
    )
    verifier = connection.pgconn.encrypt_password(role.password.encode(), role.name.encode()).decode()
    connection.execute(sql.SQL(statement).format(role=sql.Identifier(role.name), verifier=sql.Literal(verifier)))


def _let_in(connection: psycopg.Connection[Any], role: Role) -> None:
    """Let a role reach the tables, where that is not everybody's right anyway."""
    database, enters, uses = connection.execute(
        "SELECT current_database(), has_database_privilege(%(role)s, current_database(), 'CONNECT'),"
        " has_schema_privilege(%(role)s, current_schema(), 'USAGE')",
        {"role": role.name},
    ).fetchone() or ("", True, True)
    name = sql.Identifier(role.name)
    if not enters:
        grant = sql.SQL("GRANT CONNECT ON DATABASE {database} TO {role}")
        connection.execute(grant.format(database=sql.Identifier(database), role=name))
    if not uses:
        schema = connection.execute("SELECT current_schema()").fetchone() or ("public",)
        grant = sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}")
        connection.execute(grant.format(schema=sql.Identifier(schema[0]), role=name))
