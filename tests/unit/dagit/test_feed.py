"""History and live are one sequence: whatever happens in whichever order, a client sees each event once."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
from dagwire_dagit.cursors import Cursor
from dagwire_dagit.feed import Feed, Wanted
from dagwire_dagit.hub import Hub
from dagwire_shared.memory import MemoryBus
from dagwire_shared.streams import EVENTS
from support.dagit import LaggingStore, a_run, line, queued, read_frames

SMALL_RING = 3_000
"""Bytes: room for a handful of events, so that clients fall behind it all the time."""


@contextlib.asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[Hub]:
    task = asyncio.create_task(hub.run())
    try:
        await asyncio.wait_for(hub.ready(), 5)
        yield hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Client:
    """A browser: follows a feed, goes away now and then, and resumes by the last id it saw."""

    def __init__(self, hub: Hub, store: LaggingStore, aggregate: str | None, after: Cursor | None = None) -> None:
        self.hub = hub
        self.store = store
        self.aggregate = aggregate
        self.seen: list[tuple[int, str]] = []
        self.last: str | None = str(after) if after else None
        self.changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.told = 0
        self.hints: list[str] = []

    def connect(self) -> None:
        after = Cursor(*map(int, self.last.split("-"))) if self.last else None
        wanted = Wanted(aggregate=self.aggregate, after=after)
        self._task = asyncio.create_task(self._read(Feed(self.hub, self.store, wanted, recheck=0.05)))

    async def _read(self, feed: Feed) -> None:
        async with contextlib.aclosing(feed.chunks()) as chunks:
            async for chunk in chunks:
                for name, cursor, data in read_frames(chunk):
                    if cursor is not None:
                        self.last = cursor
                    if name == "event":
                        self.seen.append((int(data["cursor"].split("-")[1]), data["event"]["id"]))
                    elif name == "caught-up":
                        self.told += 1
                    else:
                        self.hints.append(name)
                self.changed.set()

    async def disconnect(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def connected(self) -> bool:
        return self._task is not None and not self._task.done()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.seen) < count:
                self.changed.clear()
                await self.changed.wait()

    async def until_told(self) -> None:
        async with asyncio.timeout(10):
            while not self.told:
                self.changed.clear()
                await self.changed.wait()


class World:
    """A stream, a store, and replicas that come and go, driven by a seeded chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.bus = MemoryBus()
        self.log = self.bus.streams._broker.logs[EVENTS.name]
        self.store = LaggingStore(self.bus)
        self.runs = [a_run(number) for number in range(self.chance.randint(1, 4))]
        self.written = dict.fromkeys(self.runs, 0)

    async def publish(self) -> None:
        for _ in range(self.chance.randint(1, 12)):
            run = self.chance.choice(self.runs)
            message = line(run, self.written[run]) if self.written[run] else queued(run)
            self.written[run] += 1
            await self.bus.streams.publish(message)

    async def store_some(self) -> None:
        shards = {run[0] for run in self.runs}
        chosen = self.chance.sample(sorted(shards), self.chance.randint(1, len(shards)))
        through = min(self.store.through[shard] for shard in chosen)
        await self.store.advance(self.chance.randint(through, self.log.last_sequence), chosen)

    async def store_all(self) -> None:
        """Only the shards that have events make progress, and only as far as those are."""
        for shard in {run[0] for run in self.runs}:
            mine = [seq for seq, one in self.log.messages.items() if one.subject.split(".")[3] == shard]
            await self.store.advance(max(mine, default=0), [shard])

    def events(self, run: str | None) -> list[tuple[int, str]]:
        def wanted(subject: str) -> bool:
            return subject.split(".")[4] == run if run else subject.endswith((".launch", ".run", ".tick"))

        return [(seq, one.headers["Nats-Msg-Id"]) for seq, one in self.log.messages.items() if wanted(one.subject)]


class Play:
    """One random history of events, outages, replicas and clients."""

    def __init__(self, seed: int, replicas: contextlib.AsyncExitStack) -> None:
        self.world = World(seed)
        self.chance = self.world.chance
        self.replicas = replicas
        self.ring_bytes = self.chance.choice([1, SMALL_RING, 20_000, 10**7])
        self.clients: list[Client] = []

    async def begin(self) -> None:
        for _ in range(self.chance.randint(0, 8)):
            await self.world.publish()
            await self.world.store_some()
        hub = await self.replica()
        beginning = Cursor(self.world.log.epoch, 0)
        lanes = [*self.world.runs, None]
        self.clients = [Client(hub, self.world.store, self.chance.choice(lanes), beginning) for _ in range(4)]

    async def replica(self) -> Hub:
        replay = self.chance.choice([0, 5, 10_000])
        hub = Hub(self.world.bus, self.world.store, ring_bytes=self.ring_bytes, replay=replay)
        return await self.replicas.enter_async_context(running(hub))

    async def step(self) -> None:
        moves = [self.world.publish, self.world.publish, self.world.store_some, self.come_or_go, self.fail, self.pause]
        await self.chance.choice([*moves, *moves, *moves, self.move])()

    async def pause(self) -> None:
        await asyncio.sleep(0)

    async def come_or_go(self) -> None:
        client = self.chance.choice(self.clients)
        if client.connected:
            await client.disconnect()
        else:
            client.connect()

    async def fail(self) -> None:
        self.world.store.away = self.chance.random() < 0.3

    async def move(self) -> None:
        """A replica starts, and some clients go over to it."""
        hub = await self.replica()
        for client in self.clients:
            if self.chance.random() < 0.5:
                await client.disconnect()
                client.hub = hub

    async def end(self) -> None:
        """Everything is back; each client gets what it has not had."""
        self.world.store.away = False
        await self.world.store_all()
        for client in self.clients:
            if not client.connected:
                client.connect()
            expected = self.world.events(client.aggregate)
            await client.until(len(expected))
            await asyncio.sleep(0)
            assert client.seen == expected
            await client.disconnect()


@pytest.mark.parametrize("seed", range(150))
async def test_a_client_sees_every_event_once_and_in_order_whatever_happens(seed: int, monkeypatch):
    async with contextlib.AsyncExitStack() as replicas:
        play = Play(seed, replicas)
        monkeypatch.setattr("dagwire_dagit.feed.PAGE", play.chance.choice([1, 3, 500]))
        monkeypatch.setattr("dagwire_dagit.feed.CHUNK", play.chance.choice([1, 4, 256]))
        await play.begin()
        for _ in range(40):
            await play.step()
        await play.end()


async def test_a_new_run_is_shown_while_the_database_is_away():
    bus = MemoryBus()
    store = LaggingStore(bus)
    store.away = True
    async with running(Hub(bus, store)) as hub:
        client = Client(hub, store, a_run())
        client.connect()
        await asyncio.sleep(0)
        for message in [queued(a_run()), line(a_run(), 1), line(a_run(), 2)]:
            await bus.streams.publish(message)
        await client.until(3)
        await client.disconnect()
    assert store.pages == 0


async def test_an_idle_run_is_not_read_from_the_database_again_when_it_goes_on():
    bus = MemoryBus()
    store = LaggingStore(bus)
    async with running(Hub(bus, store, ring_bytes=SMALL_RING)) as hub:
        await bus.streams.publish(queued(a_run()))
        client = Client(hub, store, a_run())
        client.connect()
        await client.until(1)
        await client.until_told()
        store.away = True
        for number in range(50):  # others push it out of the ring
            await bus.streams.publish(line(a_run(1), number))
        await bus.streams.publish(line(a_run(), 1))
        await client.until(2)
        await client.disconnect()


async def test_history_is_sent_before_the_client_is_told_that_it_is_caught_up():
    bus = MemoryBus()
    store = LaggingStore(bus)
    for number in range(1200):
        await bus.streams.publish(line(a_run(), number) if number else queued(a_run()))
    await store.advance(700)
    async with running(Hub(bus, store, replay=100)) as hub:
        client = Client(hub, store, a_run())
        client.connect()
        await client.until(700)
        assert not client.told
        await store.advance(1200)
        await client.until_told()
        assert len(client.seen) == 1200
        await client.disconnect()


async def test_the_instance_feed_begins_now_and_resumes_where_it_was():
    bus = MemoryBus()
    store = LaggingStore(bus)
    await bus.streams.publish(queued(a_run()))
    async with running(Hub(bus, store)) as hub:
        client = Client(hub, store, None)
        client.connect()
        await client.until_told()
        assert not client.seen
        await client.disconnect()
        await bus.streams.publish(queued(a_run(1)))
        client.connect()
        await client.until(1)
        assert client.seen[0][1] == f"{a_run(1)}:queued"
        await client.disconnect()


async def test_hints_reach_every_client_and_only_once():
    bus = MemoryBus()
    store = LaggingStore(bus)
    async with running(Hub(bus, store)) as hub:
        hub.hint(b"event: location\ndata: {}\n\n")
        clients = [Client(hub, store, a_run()), Client(hub, store, None)]
        for client in clients:
            client.connect()
            await client.until_told()
        hub.hint(b"event: schedule\ndata: {}\n\n")
        await bus.streams.publish(queued(a_run()))
        for client in clients:
            await client.until(1)
            await client.disconnect()
            assert client.hints == ["schedule"]


async def test_a_rebuilt_stream_closes_every_connection_so_that_clients_come_again(monkeypatch):
    monkeypatch.setattr("dagwire_dagit.hub.EPOCH_CHECK_SECONDS", 0.01)
    bus = MemoryBus()
    store = LaggingStore(bus)
    async with running(Hub(bus, store)) as hub:
        client = Client(hub, store, a_run())
        client.connect()
        await client.until_told()
        bus.streams._broker.logs[EVENTS.name].epoch += 1
        await asyncio.wait_for(client._task, 5)
        assert hub.epoch == bus.streams._broker.logs[EVENTS.name].epoch


async def test_closing_ends_every_feed_and_the_next_one_at_once():
    bus = MemoryBus()
    store = LaggingStore(bus)
    async with running(Hub(bus, store)) as hub:
        client = Client(hub, store, a_run())
        client.connect()
        await client.until_told()
        hub.close()
        await asyncio.wait_for(client._task, 5)
        client.connect()
        await asyncio.wait_for(client._task, 5)


async def test_a_silent_feed_says_that_it_lives():
    bus = MemoryBus()
    store = LaggingStore(bus)
    async with running(Hub(bus, store)) as hub:
        feed = Feed(hub, store, Wanted(aggregate=a_run()), keep_alive=0.001)
        async with contextlib.aclosing(feed.chunks()) as chunks:
            sent = [await anext(chunks) for _ in range(5)]
    assert sent[-1] == b":\n\n"


async def test_a_feed_waits_for_the_bus_with_signs_of_life_and_then_begins():
    bus = MemoryBus()
    bus.broker.online = False
    store = LaggingStore(bus)
    hub = Hub(bus, store)
    task = asyncio.create_task(hub.run())
    feed = Feed(hub, store, Wanted(aggregate=a_run()), keep_alive=0.001)
    async with contextlib.aclosing(feed.chunks()) as chunks:
        assert [await anext(chunks) for _ in range(3)][1:] == [b":\n\n", b":\n\n"]
        bus.broker.online = True
        async for chunk in chunks:
            if b"caught-up" in chunk:
                break
    task.cancel()


async def test_an_event_published_again_under_its_id_is_sent_once():
    bus = MemoryBus()
    store = LaggingStore(bus)
    async with running(Hub(bus, store)) as hub:
        client = Client(hub, store, a_run())
        client.connect()
        await bus.streams.publish(queued(a_run()))
        log = bus.streams._broker.logs[EVENTS.name]
        log._ids.clear()  # the duplicate window has passed
        await bus.streams.publish(queued(a_run()))
        await bus.streams.publish(line(a_run(), 1))
        await client.until(2)
        assert [seq for seq, _ in client.seen] == [1, 3]
        await client.disconnect()
