"""Connections to PostgreSQL by asyncpg, which of its errors mean "not now", and what is said when it goes or comes."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from dagwire_shared.health import OK
from dagwire_shared.logs import redact

from dagwire_eventstore import queries
from dagwire_eventstore.migrations import NEWEST
from dagwire_eventstore.rights import WRITER, Role

log = logging.getLogger(__name__)

UNAVAILABLE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # What asyncpg says of a connection that breaks while it is being prepared for the next statement.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Errors after which the same may succeed on a new connection."""
REFUSED: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""Errors that lie in the rows: on any connection they would come again."""

_KEPT_OUT: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""The role, its password or the database is not there (yet)."""
_UNPREPARED: Final = (asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError, asyncpg.InsufficientPrivilegeError)

NOT_CONNECTED: Final = "not connected"
CREDENTIAL_REFUSED: Final = "credential refused, or no such database"
WAITS_FOR_MIGRATION: Final = "waits for migration"

_CONNECT_SECONDS: Final = 10
_COMMAND_SECONDS: Final = 60
_SESSION: Final = {
    # A session holds the lock of a partition: when its client's machine is gone, it ends within about 15 s.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "jit": "off",
}


class Database:
    """Where connections come from."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._away = False
        self._state = NOT_CONNECTED

    @asynccontextmanager
    async def connect(
        self, name: str, *, command_seconds: float | None = _COMMAND_SECONDS
    ) -> AsyncIterator[asyncpg.Connection]:
        """Open a connection that the server shows as ``name``, for as long as the context is open."""
        connection = await asyncpg.connect(
            self._url,
            timeout=_CONNECT_SECONDS,
            command_timeout=command_seconds,
            server_settings={**_SESSION, "application_name": f"dagwire-eventstore {name}"},
        )
        try:
            yield connection
        finally:
            # At once, without a farewell: a transaction under way is not to be waited for.
            connection.terminate()

    @property
    def state(self) -> str:
        """How PostgreSQL is, for the health of the process."""
        return self._state

    @staticmethod
    def kind_of(error: Exception) -> str:
        """Return the state that an error means."""
        return CREDENTIAL_REFUSED if isinstance(error, _KEPT_OUT) else NOT_CONNECTED

    def went_away(self, error: Exception) -> None:
        """Say that PostgreSQL cannot be used, once until it can, or until the reason is of another kind."""
        state = self.kind_of(error)
        if not self._away or state != self._state:
            cause = redact(f"{type(error).__name__}: {error}")
            log.warning("database unavailable, the bus keeps what comes in", extra={"cause": cause})
        self._away, self._state = True, state

    def waits_for_migration(self) -> None:
        """Say that the tables are not up to date yet, once."""
        if self._state != WAITS_FOR_MIGRATION:
            log.warning("database not migrated yet, waiting for it; the bus keeps what comes in")
        self._away, self._state = True, WAITS_FOR_MIGRATION

    def came_back(self) -> None:
        """Say that PostgreSQL can be used, if it could not."""
        if self._away:
            log.info("database available again")
        self._away, self._state = False, OK


async def is_up_to_date(connection: asyncpg.Connection, *, roles: Sequence[Role]) -> bool:
    """Whether the newest migration was run and nothing is to be done about roles."""
    try:
        if await connection.fetchval(queries.READ_REVISION) != NEWEST:
            return False
        return all(
            [role.password is None and await _has_rights(connection, role.rights, of=role.name) for role in roles]
        )
    except _UNPREPARED:
        return False


async def may_store(connection: asyncpg.Connection) -> bool:
    """Whether the tables are those of this release or a newer one, and this session's role may write them."""
    try:
        revision = await connection.fetchval(queries.READ_REVISION)
        return revision is not None and revision >= NEWEST and await _has_rights(connection, WRITER, of=None)
    except _UNPREPARED:
        return False


async def _has_rights(connection: asyncpg.Connection, rights: Sequence[str], *, of: str | None) -> bool:
    return bool(await connection.fetchval(queries.HAS_RIGHTS, of, list(rights)))
