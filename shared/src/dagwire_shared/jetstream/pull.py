"""A continuous pull: keeps a request open at a consumer and collects what it delivers, within a bound.

Notices what would leave a reader silent for ever: an ended request, missed heartbeats, a reconnect, a
consumer that is gone. Does not know what the messages are read for.
"""

import asyncio
import json
from collections import deque
from datetime import timedelta
from typing import Final

from nats.aio.msg import Msg

from dagwire_shared.errors import BusError
from dagwire_shared.jetstream import api
from dagwire_shared.jetstream.connection import Connection, DisconnectedError, Subscribed

EXPIRES: Final = timedelta(seconds=30)
HEARTBEAT: Final = timedelta(seconds=2)
_SILENCE_SECONDS: Final = 2.5 * HEARTBEAT.total_seconds()
_REQUEST_BYTES: Final = 16 * 1024 * 1024
_AGAIN: Final = ("batch completed", "message size exceeds maxbytes", "request timeout", "no messages")
_LATER: Final = ("leadership change", "server shutdown", "exceeded")
_LATER_SECONDS: Final = 0.1


class BrokenPullError(Exception):
    """The consumer must be looked after: it is gone, or deliveries were lost on the way."""


class Pull:
    """An open pull on one consumer. ``take`` has one caller at a time."""

    def __init__(
        self, connection: Connection, stream: str, consumer: str, *, capacity: int, lasting: bool = True
    ) -> None:
        """Prepare a pull of at most ``capacity`` messages; one that is not ``lasting`` breaks at a reconnect."""
        self._lasting = lasting
        self._connection = connection
        self._subject = f"{api.API}.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self.capacity = capacity
        self._inbox = ""
        self._subscribed: Subscribed | None = None
        self._buffer: deque[tuple[float, Msg]] = deque()
        self._open: dict[str, int] = {}
        self._arrived = asyncio.Event()
        self._broken: str | None = None
        self._heard = 0.0
        self._not_before = 0.0
        self._loop = asyncio.get_running_loop()
        self.heartbeats = 0
        self.consumer_sequence = 0
        """The last consumer sequence that the server says it delivered."""

    async def open(self) -> None:
        """Begin to listen; nothing is asked for before ``take``."""
        self._inbox = self._connection.new_inbox()
        self._connection.listeners.add(self._on_reconnect)
        self._subscribed = await self._connection.subscribe(
            f"{self._inbox}.*", self._on_message, limit=4 * self.capacity + 64
        )

    async def close(self) -> list[Msg]:
        """End it, and return what was delivered and not taken."""
        self._connection.listeners.discard(self._on_reconnect)
        if self._subscribed is not None:
            await self._subscribed.close(drain=bool(self._open))
        left = [msg for _, msg in self._buffer]
        self._buffer.clear()
        return left

    def _on_reconnect(self) -> None:
        self._open.clear()
        if not self._lasting:
            self._broken = "the connection was lost"
        self._arrived.set()

    async def _on_message(self, msg: Msg) -> None:
        self._heard = self._loop.time()
        token = msg.subject.rpartition(".")[2]
        status = msg.headers.get(api.STATUS) if msg.headers else None
        if status is None:
            left = self._open.get(token, 1) - 1
            if left > 0:
                self._open[token] = left
            else:
                self._open.pop(token, None)
            self._buffer.append((self._heard, msg))
        elif not self._on_status(token, status, msg.headers or {}):
            return
        self._arrived.set()

    def _on_status(self, token: str, status: str, headers: dict[str, str]) -> bool:
        """Note what the server says about a request; False: nobody needs to know."""
        if status == "100":
            self.heartbeats += 1
            self.consumer_sequence = int(headers.get("Nats-Last-Consumer", 0))
            return True
        if self._open.pop(token, None) is None:
            return False  # about a request of an earlier connection
        text = headers.get(api.DESCRIPTION, "").lower()
        if any(text.startswith(word) for word in _LATER):
            self._not_before = self._heard + _LATER_SECONDS
        elif not any(text.startswith(word) for word in _AGAIN):
            self._broken = f"{status} {text}".strip()
        return True

    async def _ask(self) -> None:
        """Keep a request open as long as there is room for what it may bring."""
        room = self.capacity - len(self._buffer) - sum(self._open.values())
        if room < max(1, self.capacity // 2) or self._loop.time() < self._not_before:
            return
        token = self._connection.new_token()
        request = {
            "batch": room,
            "max_bytes": _REQUEST_BYTES,
            "expires": api.nanoseconds(EXPIRES),
            "idle_heartbeat": api.nanoseconds(HEARTBEAT),
        }
        self._open[token] = room
        try:
            await self._connection.publish(self._subject, json.dumps(request).encode(), reply=f"{self._inbox}.{token}")
        except DisconnectedError:
            self._open.pop(token, None)
            return
        self._heard = max(self._heard, self._loop.time())

    async def take(self, limit: int, *, wait: float | None = None) -> list[tuple[float, Msg]]:
        """Return 1 to ``limit`` messages as soon as there are any, each with the time of its arrival.

        Empty after ``wait`` seconds, and after a heartbeat, which says that there is nothing now.

        Raises:
            BrokenPullError: the consumer must be looked after.
            PermissionDeniedError: the credential does not allow to read from it.
        """
        end = None if wait is None else self._loop.time() + wait
        while not self._buffer:
            if self._broken is not None:
                raise BrokenPullError(self._broken)
            self._arrived.clear()
            await self._ask()
            beats = self.heartbeats
            await self._wait_for_arrival(end)
            if self._buffer:
                break
            if self.heartbeats != beats or (end is not None and self._loop.time() >= end):
                return []
        taken = [self._buffer.popleft() for _ in range(min(limit, len(self._buffer)))]
        await self._ask()
        return taken

    async def _wait_for_arrival(self, end: float | None) -> None:
        now = self._loop.time()
        limits = [self._heard + _SILENCE_SECONDS if self._open else now + _SILENCE_SECONDS]
        if not self._open and self._not_before > now:
            limits.append(self._not_before)
        if end is not None:
            limits.append(end)
        try:
            async with asyncio.timeout_at(min(limits)):
                await self._arrived.wait()
        except TimeoutError:
            if self._open and self._loop.time() >= self._heard + _SILENCE_SECONDS:
                self._connection.raise_if_denied(self._subject)
                self._open.clear()  # the server has forgotten the request: ask again


async def create_consumer(
    connection: Connection, stream: str, name: str, config: dict[str, object], *, wait: float
) -> api.Answer:
    """Create a consumer, or bring the one of this name in line.

    Raises:
        DisconnectedError: the connection is away.
        UnansweredError: no answer in time.
        BusError: the server refuses the settings.
    """
    request = {"stream_name": stream, "config": {"name": name, **config}}
    subject = f"{api.API}.CONSUMER.CREATE.{stream}.{name}"
    # The filter stands in the request's own subject, so that a credential can be limited to it.
    if (only := config.get("filter_subject")) is not None:
        subject += f".{only}"
    reply = await connection.request(subject, json.dumps(request).encode(), wait=wait)
    answer = api.read_answer(reply)
    if answer.error is not None and answer.error.code == 400:  # noqa: PLR2004 # the API's "bad request"
        raise BusError(f"consumer {name} of {stream} was refused: {answer.error}")
    return answer


def filters(subjects: object) -> dict[str, object]:
    """Return the filter settings of a consumer."""
    chosen = list(subjects) if isinstance(subjects, (list, tuple)) else []
    if len(chosen) == 1:
        return {"filter_subject": chosen[0]}
    return {"filter_subjects": chosen} if chosen else {}
