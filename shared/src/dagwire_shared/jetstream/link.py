"""Keeps one nats-py client connected to a server for ever: what nats-py reports is heard, and a lost cause replaced.

Knows neither subscriptions nor requests; whoever holds the link is told when it is lost and when it is back.
"""

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final, Protocol

import nats.errors
from nats.aio.client import Client

from dagwire_shared.errors import BusUnavailableError, PermissionDeniedError
from dagwire_shared.jetstream.client import TolerantClient, credential_in
from dagwire_shared.jetstream.lean import complete
from dagwire_shared.logs import redact

log = logging.getLogger(__name__)

RECONNECT_WAIT_SECONDS: Final = 0.25
PING_SECONDS: Final = 5
"""A connection that answers none of three pings is given up and made anew."""
GIVE_UP_SECONDS: Final = 60.0
"""A client that did not come back for so long is replaced by a new one."""
FLUSH_SECONDS: Final = 2.0
WAITING_SECONDS: Final = 30.0
"""How often a process that waits for its first connection says so."""
_REFUSED_SECONDS: Final = (0.25, 10.0)
"""The first and the longest pause after a refused credential; it doubles from one to the other."""
_REFUSALS: Final = 16
_WATCHES: Final = 10
_CLOSE_SECONDS: Final = 3.0
_DENIED: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')
_LOSSES: Final = (OSError, nats.errors.UnexpectedEOF, nats.errors.StaleConnectionError)
_REFUSED: Final = ("authorization violation", "authentication timeout")


class DisconnectedError(Exception):
    """The connection is away, or was lost before an answer came."""


class Holder(Protocol):
    """Who uses a link."""

    def lost(self) -> None:
        """The connection is gone; it will be back."""

    def back(self) -> None:
        """The connection is there again."""

    async def renew(self, client: Client) -> None:
        """A new client takes the place of the old one: make on it what was made on that."""

    def denied(self, action: str, subject: str) -> None:
        """The server refuses a ``publish`` or ``subscription``; the subject is in lower case."""


async def unbroken(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Wait for a coroutine of nats-py without ever cancelling it.

    A cancelled ping stays in the client's list and ends its reader when the answer comes.

    Raises:
        TimeoutError: it is not done yet.
        DisconnectedError: nats-py cancelled it.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        raise TimeoutError
    if task.cancelled():  # nats-py cancels what two of its tasks wait for
        raise DisconnectedError("the connection was lost meanwhile")
    task.result()


class Link:
    """A connection that is tried again for ever once it was made."""

    def __init__(self, url: str, *, name: str, inbox_prefix: str, holder: Holder) -> None:
        self._servers = [part.strip() for part in url.split(",") if part.strip()]
        self._credential = credential_in(self._servers)
        complete(self._servers)
        self.name = name
        self._inbox_prefix = inbox_prefix
        self._holder = holder
        self.client: Client | None = None
        self._opened = False
        self._reached = False
        self._closing = False
        self._up = asyncio.Event()
        self._last_cause: BaseException | None = None
        self._told = ("", 0.0)
        self._refusals = 0
        self._tell_again = 0.0
        self._revival: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """The servers, without credentials."""
        return ",".join(redact(server) for server in self._servers)

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now."""
        return self._up.is_set() and self.client is not None and self.client.is_connected

    @property
    def refused(self) -> bool:
        """Whether it is away because the server refuses the credential."""
        return not self.connected and any(word in str(self._last_cause).lower() for word in _REFUSED)

    async def until_connected(self) -> None:
        """Return when the server can be reached.

        Raises:
            BusUnavailableError: the link was closed.
        """
        while not self.connected:
            if self._closing:
                raise BusUnavailableError("the connection to the bus was closed")
            if self._up.is_set():  # nats-py noticed the loss and has not said so yet
                await asyncio.sleep(0.01)
            else:
                await self._up.wait()

    async def open(self, deadline: timedelta) -> None:
        """Make the first connection.

        Raises:
            BusUnavailableError: no server answered before the deadline.
            PermissionDeniedError: the server refuses the credential.
        """
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                self.client = await self._new_client()
        except TimeoutError:
            cause = f": {self._last_cause}" if self._last_cause else ""
            raise BusUnavailableError(
                f"no NATS server answered at {self.address} within {deadline.total_seconds():g} s{cause}; "
                "check the address and that the server runs"
            ) from None
        except nats.errors.Error as error:
            raise BusUnavailableError(f"{self.address} is no address of a NATS server: {error}") from error
        self._opened = self._reached = True
        self._up.set()
        self._watching = asyncio.create_task(self._watch())
        log.info("bus connected", extra={"bus": self.address, "bus_client": self.name})

    def start(self) -> None:
        """Make the first connection in the background, however long it takes; until then it is as if it were lost."""
        self._opened = True
        self._revival = asyncio.create_task(self._revive())
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Send what is waiting, and close for good."""
        self._closing = True
        self._up.clear()
        for task in (self._watching, self._revival):
            if task is not None:
                task.cancel()
        await self._end(self.client)

    async def _new_client(self) -> Client:
        client = TolerantClient()
        try:
            await client.connect(
                servers=self._servers,
                name=self.name,
                inbox_prefix=self._inbox_prefix,
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type] # any number will do
                connect_timeout=2,
                ping_interval=PING_SECONDS,
                max_outstanding_pings=2,
                flush_timeout=FLUSH_SECONDS,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
                user=self._credential.user,
                password=self._credential.password,
                token=self._credential.token,
            )
        except BaseException:
            with contextlib.suppress(Exception):
                await client._close(Client.DISCONNECTED, False)  # noqa: SLF001 # close() would report
            raise
        return client

    async def _end(self, client: Client | None) -> None:
        if client is not None:
            with contextlib.suppress(TimeoutError, DisconnectedError, nats.errors.Error, OSError):
                await unbroken(client.close(), _CLOSE_SECONDS)

    async def _on_error(self, error: Exception) -> None:
        self._last_cause = error
        text = str(error).lower()
        if (denied := _DENIED.search(text)) is not None:
            log.error("bus permission denied", extra={"action": denied.group(1), "subject": denied.group(2)})
            self._holder.denied(denied.group(1), denied.group(2))
        elif any(word in text for word in _REFUSED):
            if not self._opened:
                raise PermissionDeniedError(
                    f"the NATS server at {self.address} refuses the credential of {self.name!r}: "
                    "check user and password in the address"
                )
            await self._on_refused(text)
        elif self.connected and not isinstance(error, _LOSSES) and self._worth_telling(text):
            log.warning("bus error", extra={"bus": self.address, "cause": repr(error)})
        elif self._opened and not self._reached and self._has_waited():
            # Who has a deadline is told by an error.
            log.warning("bus not there yet, waiting for it", extra={"bus": self.address, "cause": repr(error)})
        else:
            log.debug("bus unreachable", extra={"bus": self.address, "cause": repr(error)})

    async def _on_refused(self, text: str) -> None:
        """Hold nats-py back, which waits for this: the credential may be good again later, and many may be refused."""
        first, longest = _REFUSED_SECONDS
        pause = min(longest, first * 2**self._refusals) * random.uniform(0.5, 1.5)  # noqa: S311 # jitter, no secret
        self._refusals = min(self._refusals + 1, _REFUSALS)
        if self._worth_telling(text):
            extra = {"bus": self.address, "bus_client": self.name, "again_in_seconds": round(pause, 1)}
            log.error("bus credential refused", extra=extra)
        await asyncio.sleep(pause)

    def _worth_telling(self, text: str) -> bool:
        """Whether this error was not told of within the last second: a flood of them says no more."""
        now = asyncio.get_running_loop().time()
        told, self._told = self._told, (text, now)
        return told[0] != text or now - told[1] > 1

    def _has_waited(self) -> bool:
        """Whether that the first connection is not made yet was last told of long ago, or never."""
        now = asyncio.get_running_loop().time()
        if now < self._tell_again:
            return False
        self._tell_again = now + WAITING_SECONDS
        return True

    async def _on_disconnected(self) -> None:
        self._up.clear()
        if self._reached and not self._closing:
            log.warning("bus connection lost", extra={"bus": self.address})
        self._holder.lost()

    async def _on_reconnected(self) -> None:
        words = "bus connected again" if self._reached else "bus connected"
        log.info(words, extra={"bus": self.address, "bus_client": self.name})
        self._reached = True
        self._refusals = 0
        self._up.set()
        self._holder.back()

    async def _on_closed(self) -> None:
        if self._opened and not self._closing and self._revival is None:
            self._revival = asyncio.create_task(self._revive())

    async def _watch(self) -> None:
        """Replace a client that does not come back: whatever keeps it, a new one is not kept by it."""
        missed = 0
        while True:
            await asyncio.sleep(GIVE_UP_SECONDS / _WATCHES)
            missed = 0 if self.connected else missed + 1
            if missed > _WATCHES and self._revival is None:
                missed = 0
                await self._on_disconnected()
                await self._on_closed()

    async def _revive(self) -> None:
        """Replace the client, as nats-py gives up for good after an error that it does not know."""
        if self._reached:
            log.warning("bus client is replaced", extra={"bus": self.address, "cause": repr(self._last_cause)})
        old, self.client = self.client, None
        await self._end(old)
        while True:
            try:
                client = await self._new_client()
                await self._holder.renew(client)
                break
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.warning("bus unreachable", extra={"bus": self.address, "cause": repr(error)})
                await asyncio.sleep(RECONNECT_WAIT_SECONDS)
        self.client = client
        self._revival = None
        await self._on_reconnected()
