"""Subscriptions and requests on a lasting link: a request ends when the connection does, or when it is denied.

Knows nothing of JetStream.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from secrets import token_hex
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from dagwire_shared.errors import BusError, PermissionDeniedError
from dagwire_shared.jetstream.link import FLUSH_SECONDS, DisconnectedError, Link, unbroken
from dagwire_shared.jetstream.pending import Pending

__all__ = ["Connection", "DisconnectedError", "Subscribed", "UnansweredError"]

Callback = Callable[[Msg], Awaitable[None]]
Headers = Mapping[str, str]

_REPLIES_LIMIT: Final = 65_536
_DENIALS_LIMIT: Final = 1_000


class UnansweredError(Exception):
    """No answer came in time."""


class Subscribed:
    """A subscription that outlives the client it was made with."""

    def __init__(self, owner: "Connection", subject: str, callback: Callback, *, queue: str, limit: int) -> None:
        self._owner = owner
        self.subject = subject
        self._callback = callback
        self._queue = queue
        self._limit = limit
        self._current: NatsSubscription | None = None

    async def make(self, client: Client) -> None:
        """Make it on a client."""
        self._current = await client.subscribe(
            self.subject, queue=self._queue, cb=self._callback, pending_msgs_limit=self._limit
        )

    async def close(self, *, drain: bool = False) -> None:
        """End it. With ``drain``, what the server has sent already is still handled."""
        self._owner.forget(self)
        current, self._current = self._current, None
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


class Connection:
    """A connection to the server, with what was subscribed and asked on it."""

    def __init__(self, url: str, *, name: str, inbox_prefix: str = "_INBOX") -> None:
        self.link = Link(url, name=name, inbox_prefix=inbox_prefix, holder=self)
        self.listeners: set[Callable[[], None]] = set()
        """Called after each reconnect."""
        self._inbox_prefix = inbox_prefix
        self._subscriptions: dict[int, Subscribed] = {}
        self._pending: Pending[Msg] = Pending()
        self._replies: Subscribed | None = None
        self._replies_inbox = ""
        self._replies_lock = asyncio.Lock()
        self._counter = 0
        self._denials: dict[str, str] = {}

    async def open(self, deadline: timedelta) -> None:
        """Make the first connection; raises like ``Link.open``."""
        await self.link.open(deadline)

    def start(self) -> None:
        """Make the first connection in the background."""
        self.link.start()

    async def close(self) -> None:
        """Send what is waiting, and close for good."""
        await self.link.close()
        self._pending.fail(DisconnectedError("the connection was closed"))

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now."""
        return self.link.connected

    async def until_connected(self) -> None:
        """Return when the server can be reached; raises like ``Link.until_connected``."""
        await self.link.until_connected()

    # --- what the link tells ------------------------------------------------------------------------------------

    def lost(self) -> None:
        """Fail what waits: its answer went to the connection that is gone."""
        self._pending.fail(DisconnectedError("the connection was lost"))

    def back(self) -> None:
        """Tell the listeners; another credential may be valid now."""
        self._denials.clear()
        for listener in tuple(self.listeners):
            listener()

    async def renew(self, client: Client) -> None:
        """Make every subscription on a new client."""
        for subscribed in tuple(self._subscriptions.values()):
            await subscribed.make(client)

    def denied(self, action: str, subject: str) -> None:
        """Fail the requests that a denial concerns, and remember it."""
        verb = "subscribe" if action == "subscription" else "publish"
        message = f"the credential of {self.link.name!r} does not allow to {verb} to {subject}"
        if action == "publish":
            self._pending.fail(PermissionDeniedError(message), subject=subject)
        elif self._replies is not None and self._replies.subject.lower() == subject:
            self._pending.fail(PermissionDeniedError(message))
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
        client = self.link.client
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
        if self.link.client is not None:
            with contextlib.suppress(nats.errors.ConnectionClosedError):  # then it is made on the next client
                await subscribed.make(self.link.client)
        return subscribed

    def forget(self, subscribed: Subscribed) -> None:
        """Do not make this subscription again."""
        self._subscriptions.pop(id(subscribed), None)

    async def settled(self) -> None:
        """Return when the server has read all that was sent before, and its answers to it have come."""
        client = self.link.client
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
        future = self._pending.add(token, (subject, *covers))
        try:
            await self.publish(subject, body, reply=f"{self._replies_inbox}.{token}", headers=headers)
            async with asyncio.timeout(wait):
                return await future
        except TimeoutError:
            raise UnansweredError(f"no answer from {subject} within {wait:.3g} s") from None
        finally:
            self._pending.remove(token)

    async def _listen_for_replies(self) -> None:
        async with self._replies_lock:
            if self._replies is None:
                self._replies_inbox = self.new_inbox()
                self._replies = await self.subscribe(f"{self._replies_inbox}.*", self._on_reply, limit=_REPLIES_LIMIT)

    async def _on_reply(self, msg: Msg) -> None:
        self._pending.answer(msg.subject.rpartition(".")[2], msg)
