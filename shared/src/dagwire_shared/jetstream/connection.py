"""One lasting connection to a NATS server: subscriptions and requests that notice a lost connection at once.

Knows nothing of JetStream. What nats-py leaves to its user is answered here: a request ends when the
connection does, a denied subject fails its request, and a client that gave up is replaced by a new one.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex
from typing import Any, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from dagwire_shared.errors import BusError, BusUnavailableError, PermissionDeniedError
from dagwire_shared.logs import redact

log = logging.getLogger(__name__)

Callback = Callable[[Msg], Awaitable[None]]
Headers = Mapping[str, str]

RECONNECT_WAIT_SECONDS: Final = 0.25
GIVE_UP_SECONDS: Final = 60.0
_WATCHES: Final = 10
PING_SECONDS: Final = 5
"""A connection that answers none of three pings is given up and made anew."""
FLUSH_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 3.0
_REPLIES_LIMIT: Final = 65_536
_DENIALS_LIMIT: Final = 1_000
_DENIED: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')
_LOSSES: Final = (OSError, nats.errors.UnexpectedEOF, nats.errors.StaleConnectionError)
_REFUSED: Final = ("authorization violation", "authentication")


class DisconnectedError(Exception):
    """The connection is away, or was lost before an answer came."""


class UnansweredError(Exception):
    """No answer came in time."""


class Subscribed:
    """A subscription that outlives the client it was made with."""

    def __init__(self, owner: "Connection", subject: str, callback: Callback, *, queue: str, limit: int) -> None:
        self._owner = owner
        self.subject = subject
        self.callback = callback
        self.queue = queue
        self.limit = limit
        self.current: NatsSubscription | None = None

    async def close(self, *, drain: bool = False) -> None:
        """End it. With ``drain``, what the server has sent already is still handled."""
        self._owner.forget(self)
        current, self.current = self.current, None
        if current is None:
            return
        with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
            if drain and self._owner.connected:
                # Not drain() of nats-py: its ping overtakes its UNSUB, and what comes in between is lost.
                await current._conn._send_unsubscribe(current._id)  # noqa: SLF001
                await self._owner.settled()
                async with asyncio.timeout(FLUSH_SECONDS):
                    await current._pending_queue.join()  # noqa: SLF001 # until all that came is handled
            await current.unsubscribe()


@dataclass(slots=True)
class _Pending:
    """A request that waits for its answer."""

    subjects: Collection[str]
    future: asyncio.Future[Msg]


async def unbroken(work: Any, seconds: float) -> None:
    """Wait for a coroutine of nats-py without ever cancelling it.

    A cancelled ping stays in the client's list and ends its reader when the answer comes.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        raise TimeoutError
    if task.cancelled():  # nats-py cancels what two of its tasks wait for
        raise DisconnectedError("the connection was lost meanwhile")
    task.result()


class Connection:
    """A connection that is tried again for ever once it was made."""

    def __init__(self, url: str, *, name: str, inbox_prefix: str = "_INBOX") -> None:
        self._servers = [part.strip() for part in url.split(",") if part.strip()]
        self._name = name
        self._inbox_prefix = inbox_prefix
        self._client: Client | None = None
        self._opened = False
        self._closing = False
        self._up = asyncio.Event()
        self._subscriptions: dict[int, Subscribed] = {}
        self._pending: dict[str, _Pending] = {}
        self._replies: Subscribed | None = None
        self._replies_inbox = ""
        self._replies_lock = asyncio.Lock()
        self._counter = 0
        self._last_cause: BaseException | None = None
        self._revival: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._denials: dict[str, str] = {}
        self._told = ("", 0.0)
        self.listeners: set[Callable[[], None]] = set()
        """Called after each reconnect."""

    # --- life -------------------------------------------------------------------------------------------------

    async def open(self, deadline: timedelta) -> None:
        """Make the first connection.

        Raises:
            BusUnavailableError: no server answered before the deadline.
            PermissionDeniedError: the server refuses the credential.
        """
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                self._client = await self._new_client()
        except TimeoutError:
            cause = f": {self._last_cause}" if self._last_cause else ""
            raise BusUnavailableError(
                f"no NATS server answered at {self.address} within {deadline.total_seconds():g} s{cause}; "
                "check the address and that the server runs"
            ) from None
        except nats.errors.Error as error:
            raise BusUnavailableError(f"{self.address} is no address of a NATS server: {error}") from error
        self._opened = True
        self._up.set()
        self._watching = asyncio.create_task(self._watch())
        log.info("bus connected", extra={"bus": self.address, "bus_client": self._name})

    async def _new_client(self) -> Client:
        client = Client()
        try:
            await client.connect(
                servers=self._servers,
                name=self._name,
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
            )
        except BaseException:
            with contextlib.suppress(Exception):
                await client._close(Client.DISCONNECTED, False)  # noqa: SLF001 # close() would report
            raise
        return client

    async def close(self) -> None:
        """Send what is waiting, and close for good."""
        self._closing = True
        self._up.clear()
        for task in (self._watching, self._revival):
            if task is not None:
                task.cancel()
        if self._client is not None:
            with contextlib.suppress(TimeoutError, DisconnectedError, nats.errors.Error, OSError):
                await unbroken(self._client.close(), _CLOSE_SECONDS)
        self._fail_pending(DisconnectedError("the connection was closed"))

    @property
    def address(self) -> str:
        """The servers, without credentials."""
        return ",".join(redact(server) for server in self._servers)

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now."""
        return self._up.is_set() and self._client is not None and self._client.is_connected

    async def until_connected(self) -> None:
        """Return when the server can be reached."""
        while not self.connected:
            if self._closing:
                raise BusUnavailableError("the connection to the bus was closed")
            if self._up.is_set():  # nats-py noticed the loss and has not said so yet
                await asyncio.sleep(0.01)
            else:
                await self._up.wait()

    # --- what nats-py reports -----------------------------------------------------------------------------------

    async def _on_error(self, error: Exception) -> None:
        self._last_cause = error
        text = str(error).lower()
        if (denied := _DENIED.search(text)) is not None:
            self._deny(denied.group(1), denied.group(2))
        elif any(word in text for word in _REFUSED):
            if not self._opened:
                raise PermissionDeniedError(
                    f"the NATS server at {self.address} refuses the credential of {self._name!r}: "
                    "check user and password in the address"
                )
            log.error("bus credential refused", extra={"bus": self.address})
        elif self.connected and not isinstance(error, _LOSSES) and self._worth_telling(text):
            log.warning("bus error", extra={"bus": self.address, "cause": repr(error)})
        else:
            log.debug("bus unreachable", extra={"bus": self.address, "cause": repr(error)})

    def _worth_telling(self, text: str) -> bool:
        """Whether this error was not told of within the last second: a flood of them says no more."""
        now = asyncio.get_running_loop().time()
        told, self._told = self._told, (text, now)
        return told[0] != text or now - told[1] > 1

    def _deny(self, action: str, subject: str) -> None:
        log.error("bus permission denied", extra={"action": action, "subject": subject})
        if action == "subscription":
            mine = self._replies is not None and self._replies.subject.lower() == subject
            message = f"the credential of {self._name!r} does not allow to subscribe to {subject}"
            if mine:
                self._fail_pending(PermissionDeniedError(message))
        else:
            message = f"the credential of {self._name!r} does not allow to publish to {subject}"
            for pending in self._pending.values():
                if not pending.future.done() and any(one.lower() == subject for one in pending.subjects):
                    pending.future.set_exception(PermissionDeniedError(message))
        if len(self._denials) >= _DENIALS_LIMIT:
            self._denials.pop(next(iter(self._denials)))
        self._denials[subject] = message

    def raise_if_denied(self, subject: str) -> None:
        """Raise what the server said about a subject that it denied before.

        Raises:
            PermissionDeniedError: it did.
        """
        if (message := self._denials.get(subject.lower())) is not None:
            raise PermissionDeniedError(message)

    async def _on_disconnected(self) -> None:
        self._up.clear()
        if self._opened and not self._closing:
            log.warning("bus connection lost", extra={"bus": self.address})
        self._fail_pending(DisconnectedError("the connection was lost"))

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

    async def _on_reconnected(self) -> None:
        log.info("bus connected again", extra={"bus": self.address})
        self._denials.clear()
        self._up.set()
        for listener in tuple(self.listeners):
            listener()

    async def _on_closed(self) -> None:
        if self._opened and not self._closing and self._revival is None:
            self._revival = asyncio.create_task(self._revive())

    async def _revive(self) -> None:
        """Replace a client that gave up, as nats-py does after an error it does not know."""
        log.warning("bus client is replaced", extra={"bus": self.address, "cause": repr(self._last_cause)})
        old, self._client = self._client, None
        if old is not None:
            with contextlib.suppress(TimeoutError, DisconnectedError, nats.errors.Error, OSError):
                await unbroken(old.close(), _CLOSE_SECONDS)
        while True:
            try:
                client = await self._new_client()
                for subscribed in tuple(self._subscriptions.values()):
                    await self._subscribe(client, subscribed)
                break
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.warning("bus unreachable", extra={"bus": self.address, "cause": repr(error)})
                await asyncio.sleep(RECONNECT_WAIT_SECONDS)
        self._client = client
        self._revival = None
        await self._on_reconnected()

    def _fail_pending(self, error: Exception) -> None:
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(error)

    # --- use ----------------------------------------------------------------------------------------------------

    def new_token(self) -> str:
        """Return a token that is unique in this connection."""
        self._counter += 1
        return f"{self._counter:x}"

    def new_inbox(self) -> str:
        """Return a subject below the inbox prefix that nobody else uses."""
        return f"{self._inbox_prefix}.{token_hex(11)}"

    async def publish(
        self, subject: str, body: bytes = b"", *, reply: str = "", headers: Headers | None = None
    ) -> None:
        """Hand a message to the connection.

        Raises:
            DisconnectedError: there is none now.
            BusError: the message is too large, or its subject is not valid.
        """
        client = self._client
        if client is None or not self.connected:
            raise DisconnectedError("not connected")
        try:
            await client.publish(subject, body, reply, headers)  # type: ignore[arg-type] # only read
        except nats.errors.MaxPayloadError as error:
            raise BusError(
                f"a message of {len(body)} bytes for {subject} is larger than the server allows ({client.max_payload})"
            ) from error
        except (nats.errors.BadSubjectError, nats.errors.BadHeaderError) as error:
            raise BusError(f"{subject!r} or a header of the message is not valid: {error!r}") from error
        except (nats.errors.Error, OSError) as error:
            raise DisconnectedError(repr(error)) from error

    async def subscribe(self, subject: str, callback: Callback, *, queue: str = "", limit: int = 1024) -> Subscribed:
        """Have ``callback`` called with each message, across reconnects; at most ``limit`` wait for it."""
        await self.until_connected()
        subscribed = Subscribed(self, subject, callback, queue=queue, limit=limit)
        self._subscriptions[id(subscribed)] = subscribed
        client = self._client
        if client is not None:
            with contextlib.suppress(nats.errors.ConnectionClosedError):  # then the next client subscribes
                await self._subscribe(client, subscribed)
        return subscribed

    async def _subscribe(self, client: Client, subscribed: Subscribed) -> None:
        subscribed.current = await client.subscribe(
            subscribed.subject, queue=subscribed.queue, cb=subscribed.callback, pending_msgs_limit=subscribed.limit
        )

    def forget(self, subscribed: Subscribed) -> None:
        """Do not make this subscription again."""
        self._subscriptions.pop(id(subscribed), None)

    async def settled(self) -> None:
        """Return when the server has read all that was sent before, and its answers to it have come."""
        client = self._client
        if client is not None and self.connected:
            with contextlib.suppress(nats.errors.Error, DisconnectedError, TimeoutError, OSError):
                await unbroken(client.flush(), FLUSH_SECONDS)  # its ping overtakes what waits to be sent …
                await unbroken(client.flush(), FLUSH_SECONDS)  # … which this one comes after

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        *,
        headers: Headers | None = None,
        wait: float,
        covers: Collection[str] = (),
    ) -> Msg:
        """Return the answer to one request.

        Args:
            subject: where it goes.
            body: what it says.
            headers: of the message.
            wait: seconds until it counts as unanswered.
            covers: further subjects whose denial ends this request.

        Raises:
            DisconnectedError: the connection is away or was lost meanwhile.
            UnansweredError: nothing came in time.
            PermissionDeniedError: the credential does not allow the subject.
        """
        if self._replies is None:
            await self._listen_for_replies()
        self.raise_if_denied(f"{self._replies_inbox}.*")
        token = self.new_token()
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._pending[token] = _Pending((subject, *covers), future)
        try:
            await self.publish(subject, body, reply=f"{self._replies_inbox}.{token}", headers=headers)
            async with asyncio.timeout(wait):
                return await future
        except TimeoutError:
            raise UnansweredError(f"no answer from {subject} within {wait:.3g} s") from None
        finally:
            del self._pending[token]
            if future.done() and not future.cancelled():
                future.exception()  # seen: asyncio must not warn of it

    async def _listen_for_replies(self) -> None:
        async with self._replies_lock:
            if self._replies is None:
                self._replies_inbox = self.new_inbox()
                self._replies = await self.subscribe(f"{self._replies_inbox}.*", self._on_reply, limit=_REPLIES_LIMIT)

    async def _on_reply(self, msg: Msg) -> None:
        pending = self._pending.get(msg.subject.rpartition(".")[2])
        if pending is not None and not pending.future.done():
            pending.future.set_result(msg)
