"""What holds on three servers that replicate: the same, while their leader is killed."""

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

from dagwire_shared.bus import Consumer
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from dagwire_shared.streams import EVENTS
from support.buses import bodies, events, read_to_end
from support.nats import NatsCluster, nats_cluster

TOTAL = 4000
SIZES = (1, 5, 40, 300, 500)


async def kill_leader(cluster: NatsCluster, bus: JetStreamBus) -> None:
    info = await bus.streams.ask(f"STREAM.INFO.{EVENTS.name}", None, deadline=timedelta(seconds=60))
    leader = cluster.servers[int(info.content["cluster"]["leader"].removeprefix("n"))]
    await leader.kill()
    await leader.start()


async def test_a_killed_leader_loses_nothing_and_keeps_the_order(tmp_path: Path):
    written = asyncio.Condition()
    sequences: list[int] = []
    seen: list[object] = []

    async def write(bus: JetStreamBus) -> None:
        while len(sequences) < TOTAL:
            size = min(SIZES[len(sequences) % len(SIZES)], TOTAL - len(sequences))
            series = events(size, start=len(sequences))
            receipts = await bus.streams.publish_all(series, deadline=timedelta(seconds=60))
            async with written:
                sequences.extend(receipt.sequence for receipt in receipts)
                written.notify_all()

    async def read(bus: JetStreamBus) -> None:
        reader = Consumer(stream=EVENTS, name="store", ack_wait=timedelta(seconds=5))
        async with bus.streams.consume(reader) as subscription:
            while len(seen) < TOTAL:
                batch = await subscription.batch(500, wait=timedelta(seconds=5))
                with contextlib.suppress(BusUnavailableError):
                    await subscription.acknowledge(batch)
                seen.extend(bodies(batch))

    async def kill(bus: JetStreamBus) -> None:
        async with written:
            await written.wait_for(lambda: len(sequences) >= TOTAL // 3)
        await kill_leader(cluster, bus)

    async with (
        asyncio.timeout(110),
        nats_cluster(tmp_path) as cluster,
        connect(cluster.url, name="writer") as writer,
        connect(cluster.url, name="reader") as reader,
    ):
        await provision(writer, replicas=3, deadline=timedelta(seconds=60))
        await asyncio.gather(write(writer), read(reader), kill(reader))
        stored = await read_to_end(writer, EVENTS)

    assert bodies(stored) == list(range(TOTAL))
    assert [one.sequence for one in stored] == sequences
    assert sorted(seen) == list(range(TOTAL))
