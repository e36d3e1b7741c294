"""What a server would hold: streams, durable consumers, listeners. Shared by every bus in memory on it; no I/O."""

import asyncio
import itertools
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from dagwire_shared.bus import Delivery, Handler, Message, Receipt
from dagwire_shared.errors import BusError, BusUnavailableError, ConflictError
from dagwire_shared.model import utc_now
from dagwire_shared.streams import STATE_BUCKET, STREAMS, Stream

MSG_ID: Final = "Nats-Msg-Id"
STATE_PREFIX: Final = f"$KV.{STATE_BUCKET}."
STATE: Final = Stream(
    name=f"KV_{STATE_BUCKET}", subject=f"{STATE_PREFIX}>", purpose="state", max_messages_per_subject=1
)


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a filter with ``*`` (one token) and ``>`` (all that follow)."""
    wanted, found = pattern.split("."), subject.split(".")
    for index, part in enumerate(wanted):
        if part == ">":
            return len(found) > index
        if index >= len(found) or part not in ("*", found[index]):
            return False
    return len(wanted) == len(found)


class Change:
    """Something that happens again and again, and can be waited for."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def happen(self) -> None:
        """Wake everybody who waits now."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, seconds: float | None = None) -> None:
        """Return after it happened, or after some seconds."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait({future}, timeout=seconds)
        finally:
            self._waiting.discard(future)


@dataclass
class Held:
    """A delivery of a durable consumer that is not acknowledged."""

    due: float
    times: int


@dataclass
class Durable:
    """What the broker knows of a durable consumer."""

    cursor: int = 0
    held: dict[int, Held] = field(default_factory=dict)


class Log:
    """The messages of one stream."""

    def __init__(self, stream: Stream, now: Callable[[], datetime]) -> None:
        self.stream = stream
        self.epoch = int(now().timestamp())
        self.messages: OrderedDict[int, Delivery] = OrderedDict()
        self._order: list[int] = []
        self._lasts: dict[str, int] = {}
        self.last_sequence = 0
        self.changed = Change()
        self.durables: dict[str, Durable] = {}
        self._now = now
        self._ids: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def expire(self) -> None:
        """Forget what is too old."""
        now = self._now()
        while self._ids and next(iter(self._ids.values()))[1] <= now - self.stream.duplicate_window:
            self._ids.popitem(last=False)
        if self.stream.max_age is not None:
            while self.messages and next(iter(self.messages.values())).time <= now - self.stream.max_age:
                self.messages.popitem(last=False)

    def last(self, subject: str) -> Delivery | None:
        """Return the last message on a subject."""
        self.expire()
        if self._lasts.get(subject) not in self.messages:
            kept = next((one for one in reversed(self.messages.values()) if one.subject == subject), None)
            self._lasts[subject] = kept.sequence if kept else 0
        return self.messages.get(self._lasts[subject])

    def read(self, after: int, subjects: Sequence[str], limit: int) -> list[Delivery]:
        """Return the next messages after a sequence."""
        self.expire()
        sequences = itertools.islice(self._order, bisect_right(self._order, after), None)
        kept = (self.messages[sequence] for sequence in sequences if sequence in self.messages)
        return list(itertools.islice((one for one in kept if _wanted(subjects, one.subject)), limit))

    def append(self, message: Message, expected_last: int | None = None) -> Receipt:
        """Keep a message, or say what is kept instead of it."""
        self.expire()
        known = self._ids.get(message.id)
        if expected_last is not None:
            kept = self.last(message.subject)
            if (kept.sequence if kept else 0) != expected_last or known is not None:
                return _mine_or_conflict(message, kept)
        if known is not None:
            return Receipt(known[0], duplicate=True)
        if self.stream.max_messages_per_subject is not None:
            kept = self.last(message.subject)
            if kept is not None and self.stream.refuse_when_subject_is_full:
                return Receipt(kept.sequence, duplicate=True)
            if kept is not None:
                del self.messages[kept.sequence]
        self.last_sequence += 1
        self.messages[self.last_sequence] = Delivery(
            stream=self.stream.name,
            subject=message.subject,
            sequence=self.last_sequence,
            time=self._now().astimezone(UTC),
            body=message.body,
            headers={**message.headers, MSG_ID: message.id},
        )
        self._order.append(self.last_sequence)
        self._lasts[message.subject] = self.last_sequence
        self._ids[message.id] = (self.last_sequence, self._now())
        self.changed.happen()
        return Receipt(self.last_sequence)


def _wanted(subjects: Sequence[str], subject: str) -> bool:
    return not subjects or any(matches(pattern, subject) for pattern in subjects)


def _mine_or_conflict(message: Message, kept: Delivery | None) -> Receipt:
    if kept is not None and kept.headers.get(MSG_ID) == message.id and kept.body == message.body:
        return Receipt(kept.sequence, duplicate=True)
    last = kept.sequence if kept else 0
    raise ConflictError(
        f"{message.subject} was written by somebody else: its last sequence is {last}", last_sequence=last
    )


class MemoryBroker:
    """What a server would hold. ``online = False`` makes it unreachable for every bus on it."""

    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self._online = True
        self._came_online = Change()
        self.logs = {stream.name: Log(stream, now) for stream in (*STREAMS, STATE)}
        self.listeners: list[tuple[str, asyncio.Queue[tuple[str, bytes]]]] = []
        self.servers: list[tuple[str, str, Handler]] = []
        self.served = Change()

    @property
    def online(self) -> bool:
        """Whether it can be reached."""
        return self._online

    @online.setter
    def online(self, value: bool) -> None:
        self._online = value
        if value:
            self._came_online.happen()
            for one in self.logs.values():
                one.changed.happen()

    async def reach(self, within: timedelta | None = None) -> None:
        """Return when it can be reached.

        Raises:
            BusUnavailableError: it could not in time.
        """
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        end = None if within is None else loop.time() + within.total_seconds()
        while not self._online:
            left = None if end is None else end - loop.time()
            if left is not None and left <= 0:
                raise BusUnavailableError("the bus could not be reached before the deadline")
            await self._came_online.wait(left)

    def log_of(self, subject: str) -> Log:
        """Return the log that keeps a subject.

        Raises:
            BusError: none does.
        """
        for one in self.logs.values():
            if matches(one.stream.subject, subject):
                return one
        raise BusError(f"{subject} is a subject of no stream of the bus")
