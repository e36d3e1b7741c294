import asyncio
import dataclasses

import pytest
from dagwire_dagit.cursors import BEGINNING, Cursor, parse_cursor
from dagwire_dagit.entries import Entry
from dagwire_dagit.errors import UnavailableError
from dagwire_dagit.hub import Hub, start_after
from dagwire_dagit.ring import Ring
from dagwire_shared.bus import Position
from dagwire_shared.errors import BusUnavailableError, InvalidIdentifierError
from dagwire_shared.memory import MemoryBus
from dagwire_shared.subjects import SHARDS
from support.dagit import LaggingStore, a_run

EPOCH = 5


def progress(sequence: int, **others: int) -> dict[str, Cursor]:
    return {shard: Cursor(EPOCH, others.get(f"s{shard}", sequence)) for shard in SHARDS}


@pytest.mark.parametrize(
    ("stored", "first", "last", "expected"),
    [
        (progress(90), 1, 100, 90),  # the store's progress: history and ring overlap
        (progress(90, sa=70), 1, 100, 70),  # its slowest shard's
        (progress(90, sa=10), 1, 100, 50),  # but not more than so many events back
        ({}, 1, 100, 50),
        ({}, 1, 10, 0),
        ({}, 80, 100, 79),  # older ones are gone from the stream
        ({}, 0, 0, 0),
        (progress(120), 1, 100, 100),  # never ahead of the stream: it was restored from a backup
        ({shard: Cursor(EPOCH - 1, 10**6) for shard in SHARDS}, 1, 30, 0),  # another life of the stream
    ],
)
def test_a_replica_follows_from_where_the_store_is(stored, first: int, last: int, expected: int):
    assert start_after(Position(epoch=EPOCH, first=first, last=last), stored, replay=50) == expected


def entry(sequence: int, run: str, *, size: int = 100, kind: str = "log") -> Entry:
    return Entry(Cursor(EPOCH, sequence), run, kind, f"{run}:{sequence}", b"x" * size)


def test_the_ring_forgets_the_oldest_and_keeps_within_its_bytes():
    ring = Ring(start=Cursor(EPOCH, 0), limit=50_000)
    for sequence in range(1, 5_001):
        ring.append(entry(sequence, a_run(sequence % 7)))
        assert ring.size <= 50_000
    held = [one for number in range(7) for one in ring.lane(a_run(number)).entries()]
    assert sorted(one.cursor.sequence for one in held) == list(range(5_001 - len(held), 5_001))
    assert len(held) == 50_000 // (100 + 450)


def test_an_event_larger_than_the_ring_is_kept_until_the_next():
    ring = Ring(start=Cursor(EPOCH, 0), limit=10)
    ring.append(entry(1, a_run()))
    assert len(ring.lane(a_run())) == 1
    ring.append(entry(2, a_run()))
    assert [one.cursor.sequence for one in ring.lane(a_run()).entries()] == [2]


def test_what_left_the_ring_is_not_kept_alive_by_its_lane():
    ring = Ring(start=Cursor(EPOCH, 0), limit=10_000)
    for sequence in range(1, 500):
        ring.append(entry(sequence, a_run()))
    lane = ring.lane(a_run())
    assert sum(len(one.frame) for one in lane._entries) <= 10_000


def test_a_lane_that_is_empty_and_unwatched_is_forgotten():
    ring = Ring(start=Cursor(EPOCH, 0), limit=2_000)
    for sequence in range(1, 1_000):
        ring.append(entry(sequence, a_run(sequence)))
    assert len(ring._lanes) <= 4


def test_a_lane_knows_exactly_what_left_it():
    ring = Ring(start=Cursor(EPOCH, 0), limit=2_000)
    watched = ring.lane(a_run())
    watched.watched += 1
    ring.append(entry(1, a_run()))
    for sequence in range(2, 100):
        ring.append(entry(sequence, a_run(1)))
    assert ring.floor(watched) == Cursor(EPOCH, 1)  # others went far beyond
    assert ring.floor(ring.lane(a_run(1))) > Cursor(EPOCH, 50)


def test_a_run_whose_first_event_is_in_the_ring_needs_no_history():
    ring = Ring(start=Cursor(EPOCH, 0), limit=10_000)
    assert ring.floor(ring.lane(a_run())) == Cursor(EPOCH, 0)
    ring.append(Entry(Cursor(EPOCH, 1), a_run(), "launch", f"{a_run()}:queued", b"x"))
    assert ring.floor(ring.lane(a_run())) == BEGINNING


def test_history_of_an_earlier_life_of_the_stream_is_complete_as_it_is():
    ring = Ring(start=Cursor(EPOCH, 0), limit=10_000)
    lane = ring.lane(a_run())
    stored = {shard: Cursor(EPOCH - 1, 900) for shard in SHARDS}
    assert ring.bound(lane, stored).unsettled == [a_run()[0]]
    ring.settle(a_run()[0], stored[a_run()[0]])  # nothing of this life is older than the ring
    assert ring.floor(lane) == Cursor(EPOCH - 1, 900)
    assert not ring.bound(lane, stored).lagging


@pytest.mark.parametrize("text", ["0-0", "1762000000-1", "999999999999-9223372036854775807"])
def test_a_cursor_is_read_as_it_was_written(text: str):
    assert str(parse_cursor(text)) == text


@pytest.mark.parametrize("text", ["", "1", "-1", "1-", "a-b", "1-1 ", "1-1\n", "٣-٣", "1-9223372036854775808", "1-1-1"])
def test_what_is_no_cursor_is_refused(text: str):
    with pytest.raises(InvalidIdentifierError):
        parse_cursor(text)


async def test_a_hub_that_cannot_reach_the_bus_tries_again(monkeypatch):
    monkeypatch.setattr("dagwire_dagit.hub.RETRY_SECONDS", 0)
    bus = MemoryBus()
    position, failures = bus.streams.position, [1, 2, 3]

    async def failing(stream):
        if failures:
            raise BusUnavailableError(f"away {failures.pop()}")
        return await position(stream)

    monkeypatch.setattr(bus.streams, "position", failing)
    hub = Hub(bus, LaggingStore(bus))
    task = asyncio.create_task(hub.run())
    await asyncio.wait_for(hub.ready(), 5)
    task.cancel()


async def test_only_so_many_clients_may_follow_at_once(dagit):
    services = dataclasses.replace(dagit.services, feeds=2)
    feeds = [services.feed(run=a_run(), kinds=(), after=None)._chunks for _ in range(2)]
    for feed in feeds:
        await anext(feed)
    with pytest.raises(UnavailableError, match="2 clients follow"):
        services.feed(run=a_run(), kinds=(), after=None)
    for feed in feeds:
        await feed.aclose()
    services.feed(run=a_run(), kinds=(), after=None)
