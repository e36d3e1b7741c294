"""The Bus port: streams, state and signals, in the words of the services that use them.

Two adapters implement it: ``jetstream`` for a NATS server and ``memory`` for tests; both pass
``tests/conformance``. Nothing here does I/O.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from dagwire_shared.streams import Stream

PUBLISH_DEADLINE: Final = timedelta(seconds=30)
"""How long a publish is re-sent under the same id before ``BusUnavailableError``.

A three-node NATS was measured to stall 6 to 7 s when its leader is killed.
"""


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be published."""

    subject: str
    body: bytes
    id: str
    """The ``Nats-Msg-Id``: a re-send under the same id is stored once (within the duplicate window)."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The stream's word that it holds the message: only this counts as accepted."""

    sequence: int
    duplicate: bool = False
    """True: an earlier message with this id, or on this subject where only one may be, was kept instead."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message read from a stream."""

    stream: str
    subject: str
    sequence: int
    time: datetime
    """When the server stored it (UTC)."""
    body: bytes
    headers: Mapping[str, str]
    redelivered: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries in stream order; may be empty, to say that the end of the stream was reached."""

    deliveries: Sequence[Delivery]
    caught_up: bool
    """True when nothing that was stored before the read is still to come."""
    epoch: int = 0
    """The epoch of the stream that the deliveries were read from. When it changes, sequences begin anew: what comes
    after the change does not follow what came before."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a stream begins and ends now."""

    epoch: int
    """Rises when the stream is rebuilt, so that (epoch, sequence) orders all events for ever."""
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A durable reader of a stream. Every process that opens the same name shares its work."""

    stream: Stream
    name: str
    subjects: Sequence[str] = ()
    """Subject filters; empty: the whole stream."""
    ack_wait: timedelta = timedelta(seconds=30)
    max_unacknowledged: int = 1000


class Subscription(Protocol):
    """An open durable consumer. One batch is in hand at a time; what is not acknowledged comes again."""

    async def batch(self, limit: int, *, wait: timedelta) -> Sequence[Delivery]:
        """Return 1 to ``limit`` deliveries as soon as there are any, or none after ``wait``."""
        ...

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Confirm the deliveries, and return when the server has noted it: they do not come again.

        Handle each idempotently nevertheless: a server that is killed within the next second may forget.

        Raises:
            BusUnavailableError: the server did not confirm; they may come again.
        """
        ...

    async def retry(self, delivery: Delivery, *, after: timedelta) -> None:
        """Ask for this delivery again after a while."""
        ...


class Streams(Protocol):
    """Publishing to and reading from streams."""

    async def publish(
        self, message: Message, *, expected_last: int | None = None, deadline: timedelta = PUBLISH_DEADLINE
    ) -> Receipt:
        """Publish one message; re-send under its id until it is acknowledged.

        ``expected_last`` is the sequence that the subject's last message must have (0: none yet).

        Raises:
            ConflictError: ``expected_last`` did not hold. After a re-send the cause may be this very message.
            PermissionDeniedError: the credential does not allow the subject.
            BusUnavailableError: no acknowledgement before the deadline.
        """
        ...

    async def publish_all(
        self, messages: Sequence[Message], *, deadline: timedelta = PUBLISH_DEADLINE
    ) -> Sequence[Receipt]:
        """Publish many messages in order, pipelined; one receipt each. Raises like ``publish``."""
        ...

    def follow(self, stream: Stream, *, subjects: Sequence[str] = (), after: int = 0) -> AsyncIterator[Batch]:
        """Read from the message after sequence ``after`` on, without end, and across reconnects.

        Yields a batch with ``caught_up`` set, empty if need be, once the end is first reached. Needs no
        acknowledgement and leaves nothing behind on the server.
        """
        ...

    def consume(self, consumer: Consumer) -> AbstractAsyncContextManager[Subscription]:
        """Open a durable consumer, creating it if it is not there."""
        ...

    async def last(self, stream: Stream, subject: str) -> Delivery | None:
        """Return the last message on a subject (no wildcard), or None."""
        ...

    async def remove(self, stream: Stream, sequence: int) -> None:
        """Delete one message; removing one that is gone is fine."""
        ...

    async def position(self, stream: Stream) -> Position:
        """Return where the stream begins and ends."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of the state bucket."""

    key: str
    value: bytes | None
    """None: the key was deleted."""
    revision: int
    time: datetime | None = None
    """When the server stored it, by the server's clock; None: not told."""


class State(Protocol):
    """Switches, cursors, leases and code locations: small values with compare-and-set."""

    async def get(self, key: str) -> Entry | None:
        """Return the current value, or None."""
        ...

    async def put(self, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Write a value, and return its revision.

        ``revision`` None: whatever is there; 0: only if nothing is there; else only over that revision.

        Raises:
            ConflictError: somebody wrote first.
        """
        ...

    async def delete(self, key: str, *, revision: int | None = None) -> None:
        """Delete a key; ``revision`` as in ``put``."""
        ...

    def watch(self, prefix: str) -> AsyncIterator[Entry | None]:
        """Yield every current entry below ``prefix``, then None once, then each change as it happens."""
        ...


Handler = Callable[[bytes], Awaitable[bytes]]


class Signals(Protocol):
    """Hints and questions that leave no trace: a lost one costs time, never correctness."""

    async def notify(self, subject: str, body: bytes = b"") -> None:
        """Tell whoever listens."""
        ...

    def listen(self, subject: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield the subject and body of each notification, without end. Subscribed before the first ``await`` ends."""
        ...

    async def ask(self, subject: str, body: bytes, *, wait: timedelta) -> bytes:
        """Return one answer.

        Raises:
            BusUnavailableError: nobody answered in time.
        """
        ...

    def serve(self, subject: str, handler: Handler, *, group: str) -> AbstractAsyncContextManager[None]:
        """Answer questions while the context is open; within a group one replica answers each."""
        ...


class Bus(Protocol):
    """A connection to the bus."""

    @property
    def streams(self) -> Streams:
        """The streams."""
        ...

    @property
    def state(self) -> State:
        """The state bucket."""
        ...

    @property
    def signals(self) -> Signals:
        """Core messages."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now: what a readiness probe asks."""
        ...
