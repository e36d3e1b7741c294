"""The read-only connection pool to PostgreSQL. Knows how to be without it; knows no table."""

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import asyncpg
from pydantic_core import from_json, to_json

from dagwire_dagit.errors import UnavailableError

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 3.0
POOL_SIZE: Final = 8

_BROKEN: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The connection is gone, or could not be made."""
_BUSY: Final = (
    TimeoutError,
    asyncpg.QueryCanceledError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
)
_UNPREPARED: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
)
"""The event store has not made its tables, or not granted this role to read them."""


class Database:
    """Reads rows. Connections are made when they are needed, and made again after an outage."""

    def __init__(self, url: str, *, statement_seconds: float, pool_size: int = POOL_SIZE) -> None:
        self._away = False
        self._pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=pool_size,
            timeout=CONNECT_SECONDS,
            command_timeout=statement_seconds + 1,
            init=_prepare,
            server_settings={
                "application_name": "dagwire-dagit",
                "default_transaction_read_only": "on",
                "plan_cache_mode": "force_custom_plan",  # filters that are null fall away, and the right index is taken
                "statement_timeout": str(int(statement_seconds * 1000)),
            },
        )

    async def __aenter__(self) -> Self:
        await self._pool  # connects to nothing yet
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.terminate()

    async def fetch(self, query: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        """Return the rows of a query.

        Raises:
            UnavailableError: the database is away, too slow, or not prepared yet.
        """
        try:
            rows = await self._twice(query, arguments)
        except (*_BROKEN, *_BUSY) as error:
            raise self._unavailable(
                "the history cannot be read now: the database is away or too slow", error
            ) from error
        except _UNPREPARED as error:
            raise self._unavailable(
                "the history cannot be read yet: the event store has to make its tables and let this role read them",
                error,
            ) from error
        if self._away:
            self._away = False
            log.info("history readable again")
        return rows

    def _unavailable(self, message: str, error: Exception) -> UnavailableError:
        if not self._away:
            self._away = True
            log.warning("history not readable", extra={"cause": f"{type(error).__name__}: {error}"})
        return UnavailableError(f"{message}; try again in a moment", code="database_unavailable")

    async def _twice(self, query: str, arguments: Sequence[Any]) -> Sequence[asyncpg.Record]:
        """A pooled connection may have died since it was used last; then a new one is tried at once."""
        try:
            return await self._once(query, arguments)
        except _BROKEN:
            await asyncio.sleep(0)
            return await self._once(query, arguments)

    async def _once(self, query: str, arguments: Sequence[Any]) -> Sequence[asyncpg.Record]:
        async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            rows: Sequence[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda value: to_json(value).decode(), decoder=from_json
    )
