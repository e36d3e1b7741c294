"""Connections to PostgreSQL by asyncpg, which of its errors mean "not now", and what is said when it goes or comes."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from dagwire_shared.logs import redact

from dagwire_eventstore import queries
from dagwire_eventstore.migrations import NEWEST

log = logging.getLogger(__name__)

UNAVAILABLE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
"""Errors after which the same may succeed on a new connection."""
REFUSED: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""Errors that lie in the rows: on any connection they would come again."""

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

    def went_away(self, error: Exception) -> None:
        """Say that PostgreSQL cannot be used, once until it can."""
        if not self._away:
            cause = redact(f"{type(error).__name__}: {error}")
            log.warning("database unavailable, the bus keeps what comes in", extra={"cause": cause})
        self._away = True

    def came_back(self) -> None:
        """Say that PostgreSQL can be used again, if it could not."""
        if self._away:
            log.info("database available again")
        self._away = False


async def is_up_to_date(connection: asyncpg.Connection, *, reader_role: str | None) -> bool:
    """Whether the newest migration was run, and the reading role may read."""
    try:
        revision = await connection.fetchval(queries.READ_REVISION)
        readable = reader_role is None or await connection.fetchval(queries.CAN_READ, reader_role)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError, asyncpg.InsufficientPrivilegeError):
        return False
    return bool(revision == NEWEST and readable)
