"""Buses for tests: both adapters behind one fixture value, and short ways to make and read messages."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

from dagwire_shared.bus import Bus, Delivery, Message, Subscription
from dagwire_shared.ids import run_id_for
from dagwire_shared.jetstream import connect, provision
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.streams import STATE_BUCKET, STREAMS, Stream
from dagwire_shared.subjects import Kind, event_subject
from support.nats import NatsServer

SOON = timedelta(seconds=5)
"""Longer than anything that is expected to happen takes."""
NOT_LONG = timedelta(seconds=0.15)
"""How long a test waits for what must not happen."""


class MemoryMaker:
    """Connections to one broker in memory."""

    def __init__(self) -> None:
        self._broker = MemoryBroker()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Bus]:
        yield MemoryBus(self._broker)


class JetStreamMaker:
    """Connections to one NATS server."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Bus]:
        async with connect(self._server.url, name="test") as bus:
            yield bus


class HasUrl(Protocol):
    """A server that can be connected to."""

    @property
    def url(self) -> str:
        """Its address."""
        ...


async def fresh(server: HasUrl) -> None:
    """Delete every stream of the bus and create it again."""
    async with connect(server.url, name="fresh") as bus:
        for name in [*(stream.name for stream in STREAMS), f"KV_{STATE_BUCKET}"]:
            await bus.streams.ask(f"STREAM.DELETE.{name}", None)
        await provision(bus)


def subject_of(name: str = "run", kind: Kind = Kind.LOG) -> str:
    """An event subject; the same name gives the same subject."""
    return event_subject(run_id_for(name), kind)


def an_event(body: object = "x", *, name: str = "run", kind: Kind = Kind.LOG, message_id: str | None = None) -> Message:
    """A message for the stream of events."""
    return Message(subject_of(name, kind), json.dumps(body).encode(), message_id or uuid.uuid4().hex)


def events(count: int, *, name: str = "run", start: int = 0) -> list[Message]:
    """Messages with the bodies ``start`` … and ids of their own, the same at every call."""
    return [an_event(number, name=name, message_id=f"{name}-{number}") for number in range(start, start + count)]


def bodies(deliveries: Sequence[Delivery]) -> list[object]:
    """What the deliveries say."""
    return [json.loads(one.body) for one in deliveries]


async def read_to_end(bus: Bus, stream: Stream, *, subjects: Sequence[str] = (), after: int = 0) -> list[Delivery]:
    """Everything that a stream holds."""
    found: list[Delivery] = []
    async with (
        asyncio.timeout(30),
        contextlib.aclosing(bus.streams.follow(stream, subjects=subjects, after=after)) as it,
    ):
        async for batch in it:
            found += batch.deliveries
            if batch.caught_up:
                break
    return found


async def eventually(check: Callable[[], Awaitable[bool] | bool], *, seconds: float = 10) -> None:
    """Return when the check holds; for what nobody tells of."""
    async with asyncio.timeout(seconds):
        while not (await found if isinstance(found := check(), Awaitable) else found):  # noqa: ASYNC110 # no event
            await asyncio.sleep(0.01)


async def take(subscription: Subscription, count: int) -> list[Delivery]:
    """So many deliveries, in as many batches as they come."""
    found: list[Delivery] = []
    while len(found) < count:
        batch = await subscription.batch(count - len(found), wait=SOON)
        assert batch, f"only {len(found)} of {count} deliveries came"
        found += batch
    return found
