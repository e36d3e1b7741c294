"""The embedded PostgreSQL as one of the parts: its database and roles, and its restart when it dies."""

import asyncio
import logging
from pathlib import Path

from dagwire_standalone.postgres import PostgresServer

log = logging.getLogger(__name__)

NAME = "dagwire"
"""The database."""
STORE_ROLE = "dagwire_store"
"""The role that owns the tables: the event store's."""
READER_ROLE = "dagwire_reader"
"""The role that may only read: Dagit's."""


class Database:
    """One PostgreSQL server with Dagwire's database."""

    def __init__(self, directory: Path, *, host: str, port: int) -> None:
        """Prepare the server; nothing happens before ``start``."""
        self._server = PostgresServer(directory, host=host, port=port)

    def start(self) -> None:
        """Start the server and make what is not there yet. Blocks for a second or two on a new directory.

        Raises:
            StandaloneError: it cannot run here; the message says why.
        """
        self._server.start()
        self._server.provide(NAME, owner=STORE_ROLE, readers=[READER_ROLE])

    async def keep(self) -> None:
        """Start the server again whenever it ends by itself; cancel it before ``stop``."""
        while (process := self._server.process) is not None:
            await asyncio.to_thread(process.wait)
            log.warning("part ended and is started again", extra={"part": "postgres", "exit_code": process.returncode})
            self._server.stop()  # lets go of the directory
            self._server.start()

    def stop(self) -> None:
        """Stop the server; connections are cut."""
        self._server.stop()

    def url(self, role: str) -> str:
        """Return the database's address for a role."""
        return self._server.url(role=role, database=NAME)
