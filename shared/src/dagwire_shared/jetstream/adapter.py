"""Opens a connection and puts the parts of the Bus port together on it. Decides nothing itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from dagwire_shared.jetstream.connection import Connection
from dagwire_shared.jetstream.signals import JetStreamSignals
from dagwire_shared.jetstream.state import JetStreamState
from dagwire_shared.jetstream.streams import JetStreamStreams

CONNECT_DEADLINE: Final = timedelta(seconds=10)
"""How long the first connection may take; later ones are tried for ever."""


class JetStreamBus:
    """A connection to the bus on a NATS server."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.streams = JetStreamStreams(connection)
        self.state = JetStreamState(connection, self.streams)
        self.signals = JetStreamSignals(connection)

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now."""
        return self.connection.connected


@asynccontextmanager
async def connect(
    url: str, *, name: str, inbox_prefix: str = "_INBOX", deadline: timedelta | None = CONNECT_DEADLINE
) -> AsyncIterator[JetStreamBus]:
    """Connect, and stay connected while the context is open.

    Args:
        url: one address, or several joined by commas; may hold credentials.
        name: what the server shows for this connection.
        inbox_prefix: where answers are received; a credential can be limited to it.
        deadline: for the first connection; None: it is made in the background, as later ones are.

    Raises:
        BusUnavailableError: no server answered before the deadline.
        PermissionDeniedError: the server refuses the credential.
    """
    connection = Connection(url, name=name, inbox_prefix=inbox_prefix)
    if deadline is None:
        connection.start()
    else:
        await connection.open(deadline)
    try:
        yield JetStreamBus(connection)
    finally:
        await connection.close()
