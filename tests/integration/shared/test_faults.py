"""What the bus keeps when the server is killed, or connections are cut, in the middle of everything."""

import asyncio
import contextlib
import itertools
import json
import random
from datetime import timedelta

import pytest
from dagwire_shared.bus import Consumer
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.jetstream import JetStreamBus, connect
from dagwire_shared.jetstream.pull import Pull
from dagwire_shared.streams import EVENTS
from nats.aio.msg import Msg
from support.buses import an_event, bodies, events, read_to_end
from support.nats import NatsServer
from support.proxy import proxy

SIZES = (1, 3, 9, 10, 40, 200, 700, 1, 500)


class Progress:
    """A number that grows, and can be waited for."""

    def __init__(self) -> None:
        self.value = 0
        self._changed = asyncio.Event()

    def reach(self, value: int) -> None:
        self.value = value
        self._changed.set()

    async def until(self, value: int) -> None:
        while self.value < value:
            self._changed.clear()
            await self._changed.wait()


async def kill_at(server: NatsServer, progress: Progress, values: list[int]) -> None:
    for value in values:
        await progress.until(value)
        await server.kill()
        await server.start()


async def publish_all_of(bus: JetStreamBus, total: int, progress: Progress) -> list[int]:
    sequences: list[int] = []
    rounds = 0
    while len(sequences) < total:
        size = min(SIZES[rounds % len(SIZES)], total - len(sequences))
        receipts = await bus.streams.publish_all(events(size, start=len(sequences)))
        sequences += [receipt.sequence for receipt in receipts]
        progress.reach(len(sequences))
        rounds += 1
    return sequences


async def test_a_killed_server_loses_nothing_that_was_acknowledged_and_keeps_the_order(
    server: NatsServer, bus: JetStreamBus
):
    progress = Progress()
    sequences, _ = await asyncio.gather(
        publish_all_of(bus, 8000, progress), kill_at(server, progress, [500, 2000, 3500, 6000])
    )

    stored = await read_to_end(bus, EVENTS)

    assert bodies(stored) == list(range(8000))
    assert [one.sequence for one in stored] == sequences


@pytest.mark.parametrize("seed", range(3))
async def test_connections_cut_anywhere_lose_nothing_and_keep_the_order(
    server: NatsServer, bus: JetStreamBus, seed: int
):
    chance = random.Random(seed)
    progress = Progress()
    async with (
        proxy(server.port, lambda: chance.randrange(2_000, 300_000)) as between,
        connect(between.url, name="cut") as weak,
    ):
        sequences = await publish_all_of(weak, 3000, progress)

    stored = await read_to_end(bus, EVENTS)

    assert between.cuts >= 5
    assert bodies(stored) == list(range(3000))
    assert [one.sequence for one in stored] == sequences


async def test_a_follower_sees_each_message_once_in_order_while_the_server_is_killed(
    server: NatsServer, bus: JetStreamBus
):
    progress = Progress()
    seen: list[object] = []

    async def follow() -> None:
        async with (
            connect(server.url, name="follower") as reader,
            contextlib.aclosing(reader.streams.follow(EVENTS)) as batches,
        ):
            async for batch in batches:
                seen.extend(bodies(batch.deliveries))
                if len(seen) >= 6000:
                    return

    async with asyncio.timeout(60):
        await asyncio.gather(
            publish_all_of(bus, 6000, progress), kill_at(server, progress, [300, 2000, 4000]), follow()
        )

    assert seen == list(range(6000))


async def test_a_follower_over_cut_connections_sees_each_message_once_in_order(server: NatsServer, bus: JetStreamBus):
    await bus.streams.publish_all(events(5000))
    seen: list[object] = []
    async with (
        asyncio.timeout(60),
        proxy(server.port) as between,
        connect(between.url, name="cut") as weak,
        contextlib.aclosing(weak.streams.follow(EVENTS)) as batches,
    ):
        async for batch in batches:
            seen += bodies(batch.deliveries)
            if len(seen) >= 5000:
                break
            between.cut()

    assert between.cuts >= 4
    assert seen == list(range(5000))


async def test_a_follower_notices_a_delivery_that_was_dropped_on_the_way(
    bus: JetStreamBus, monkeypatch: pytest.MonkeyPatch
):
    handle, count = Pull._on_message, itertools.count()

    async def drop_some(self: Pull, msg: Msg) -> None:
        if next(count) not in (50, 1200, 1400):
            await handle(self, msg)

    monkeypatch.setattr(Pull, "_on_message", drop_some)
    await bus.streams.publish_all(events(2000))

    assert bodies(await read_to_end(bus, EVENTS)) == list(range(2000))


async def test_a_follower_notices_that_the_last_delivery_was_dropped(
    bus: JetStreamBus, monkeypatch: pytest.MonkeyPatch
):
    handle, count = Pull._on_message, itertools.count()

    async def drop_the_last(self: Pull, msg: Msg) -> None:
        if next(count) != 9:
            await handle(self, msg)

    monkeypatch.setattr(Pull, "_on_message", drop_the_last)
    await bus.streams.publish_all(events(10))

    assert bodies(await read_to_end(bus, EVENTS)) == list(range(10))


async def test_a_consumer_gets_every_message_and_none_again_after_its_acknowledgement(
    server: NatsServer, bus: JetStreamBus
):
    progress, taken = Progress(), Progress()
    seen: list[object] = []

    async def consume() -> None:
        reader = Consumer(stream=EVENTS, name="store", ack_wait=timedelta(seconds=2), max_unacknowledged=500)
        async with connect(server.url, name="consumer") as connection, connection.streams.consume(reader) as work:
            while len(seen) < 6000:
                batch = await work.batch(200, wait=timedelta(seconds=5))
                with contextlib.suppress(BusUnavailableError):  # unconfirmed, yet not given out here again
                    await work.acknowledge(batch)
                seen.extend(bodies(batch))
                taken.reach(len(seen))
            assert await work.batch(200, wait=timedelta(seconds=2.5)) == []

    async with asyncio.timeout(60):
        await asyncio.gather(
            publish_all_of(bus, 6000, progress), kill_at(server, taken, [200, 1500, 3000, 5000]), consume()
        )

    assert sorted(seen) == list(range(6000))


async def test_two_consumers_over_cut_connections_miss_nothing(server: NatsServer, bus: JetStreamBus):
    await bus.streams.publish_all(events(3000))
    seen: set[object] = set()
    chance = random.Random(7)

    async def consume(url: str) -> None:
        reader = Consumer(stream=EVENTS, name="store", ack_wait=timedelta(seconds=1), max_unacknowledged=300)
        async with connect(url, name="consumer") as connection, connection.streams.consume(reader) as work:
            while len(seen) < 3000:
                batch = await work.batch(100, wait=timedelta(seconds=0.5))
                with contextlib.suppress(BusUnavailableError):
                    await work.acknowledge(batch)
                seen.update(bodies(batch))

    async with proxy(server.port, lambda: chance.randrange(2_000, 40_000)) as between, asyncio.timeout(60):
        await asyncio.gather(consume(between.url), consume(between.url))

    assert between.cuts >= 5
    assert seen == set(range(3000))


async def test_many_small_writers_at_once_keep_their_own_order(bus: JetStreamBus):
    told: dict[int, str] = {}

    async def write(name: str) -> None:
        for start in range(0, 120, 40):
            series = events(40, name=name, start=start)
            receipts = await bus.streams.publish_all(series)
            told.update((receipt.sequence, one.id) for receipt, one in zip(receipts, series, strict=True))

    names = [f"run-{number}" for number in range(60)]
    await asyncio.gather(*(write(name) for name in names))

    stored = await read_to_end(bus, EVENTS)
    assert told == {one.sequence: one.headers["Nats-Msg-Id"] for one in stored}
    by_subject: dict[str, list[object]] = {}
    for one in stored:
        by_subject.setdefault(one.subject, []).append(json.loads(one.body))
    assert len(by_subject) == 60
    assert all(values == list(range(120)) for values in by_subject.values())


async def test_a_frozen_server_is_waited_for(server: NatsServer, bus: JetStreamBus):
    await bus.streams.publish_all(events(20))
    server.pause()
    publishing = asyncio.create_task(bus.streams.publish_all(events(20, start=20)))
    try:
        done, _ = await asyncio.wait({publishing}, timeout=4)
        assert not done
    finally:
        server.resume()
    await publishing

    assert bodies(await read_to_end(bus, EVENTS)) == list(range(40))


async def test_a_watcher_and_a_server_of_answers_survive_a_restart(server: NatsServer, bus: JetStreamBus):
    async def answer(body: bytes) -> bytes:
        return body + b"!"

    async with (
        asyncio.timeout(30),
        bus.signals.serve("dagwire.v1.ask.known", answer, group="store"),
        contextlib.aclosing(bus.state.watch("switch")) as entries,
    ):
        await bus.state.put("switch.a", b"1")
        while (entry := await anext(entries)) is not None:
            pass
        await server.kill()
        await server.start()
        assert await bus.signals.ask("dagwire.v1.ask.known", b"a", wait=timedelta(seconds=10)) == b"a!"
        await bus.state.put("switch.a", b"2")
        while (entry := await anext(entries)) is None or entry.value != b"2":
            pass

    assert entry.key == "switch.a"


async def test_a_client_that_gave_up_is_replaced(bus: JetStreamBus):
    heard: list[object] = []
    reading = asyncio.create_task(_first_live(bus, heard))
    client = bus.connection.link.client
    came_back = asyncio.Event()
    bus.connection.listeners.add(came_back.set)
    await client._process_err("'some error of a newer server'")

    async with asyncio.timeout(20):
        await came_back.wait()
        assert bus.connection.link.client is not client
        await bus.streams.publish(an_event("after"))
        await reading

    assert heard == ["after"]


async def _first_live(bus: JetStreamBus, heard: list[object]) -> None:
    async with contextlib.aclosing(bus.streams.follow(EVENTS)) as batches:
        async for batch in batches:
            heard.extend(bodies(batch.deliveries))
            if heard:
                return
