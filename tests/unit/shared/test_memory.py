"""What the bus in memory does beyond the conformance suite: time passes as told, and it can be away."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_shared.bus import Message
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.memory import MemoryBroker, MemoryBus, matches
from dagwire_shared.streams import EVENTS, REQUESTS


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*.c", "a.b.c", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        ("a.b.c", "a.b", False),
    ],
)
def test_a_filter_matches_as_on_the_server(pattern: str, subject: str, expected: bool):
    assert matches(pattern, subject) is expected


async def test_an_id_is_known_for_the_duplicate_window():
    clock = Clock()
    streams = MemoryBus(MemoryBroker(now=clock)).streams
    message = Message("dagwire.v1.event.a.b.log", b"", "same")
    await streams.publish(message)

    clock.now += EVENTS.duplicate_window - timedelta(seconds=1)
    assert (await streams.publish(message)).duplicate
    clock.now += timedelta(seconds=2)
    assert not (await streams.publish(message)).duplicate


async def test_messages_are_kept_for_their_age():
    clock = Clock()
    streams = MemoryBus(MemoryBroker(now=clock)).streams
    request = Message("dagwire.v1.request.a", b"", "a")
    await streams.publish(request)
    assert REQUESTS.max_age is not None

    clock.now += REQUESTS.max_age + timedelta(seconds=1)

    assert await streams.last(REQUESTS, request.subject) is None
    assert not (await streams.publish(request)).duplicate


async def test_an_absent_broker_is_waited_for_until_the_deadline():
    bus = MemoryBus()
    bus.broker.online = False
    message = Message("dagwire.v1.event.a.b.log", b"", "a")

    assert not bus.connected
    with pytest.raises(BusUnavailableError):
        await bus.streams.publish(message, deadline=timedelta(seconds=0.05))
    publishing = asyncio.create_task(bus.streams.publish(message))
    await asyncio.sleep(0)
    bus.broker.online = True
    assert (await publishing).sequence == 1
