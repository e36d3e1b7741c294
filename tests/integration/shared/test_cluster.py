"""What holds on three servers that replicate: the same, while their leader is killed."""

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

import pytest
from dagwire_shared.bus import Consumer
from dagwire_shared.errors import BusError, BusUnavailableError
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from dagwire_shared.jetstream.topology import provision_in_time
from dagwire_shared.streams import EVENTS, STATE_BUCKET, STREAMS
from support.buses import bodies, events, eventually, read_to_end
from support.nats import NatsCluster, nats_cluster, nats_server

TOTAL = 4000
LONG = timedelta(seconds=60)
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


async def replicas_of(bus: JetStreamBus) -> set[int]:
    names = [*(stream.name for stream in STREAMS), f"KV_{STATE_BUCKET}"]
    answers = [await bus.streams.ask(f"STREAM.INFO.{name}", None, deadline=LONG) for name in names]
    return {answer.content["config"]["num_replicas"] for answer in answers}


async def test_streams_of_three_replicas_wait_for_the_third_server(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """As when the pods of a new cluster come up one by one."""
    async with asyncio.timeout(110), nats_cluster(tmp_path) as cluster:
        await cluster.servers[2].kill()
        async with connect(cluster.servers[0].url, name="service", deadline=None) as bus:
            provisioning = asyncio.create_task(provision_in_time(bus, replicas=3))
            await eventually(lambda: "streams cannot be made yet" in caplog.text, seconds=60)
            assert not provisioning.done()
            await cluster.servers[2].start()
            await provisioning
            assert await replicas_of(bus) == {3}


async def test_streams_that_exist_get_the_replicas_that_are_set_now(tmp_path: Path):
    async with asyncio.timeout(110), nats_cluster(tmp_path) as cluster, connect(cluster.url, name="service") as bus:
        await provision(bus, deadline=LONG)
        await bus.streams.publish_all(events(50), deadline=LONG)
        await provision_in_time(bus, replicas=3)
        assert await replicas_of(bus) == {3}
        assert bodies(await read_to_end(bus, EVENTS)) == list(range(50))
        await provision_in_time(bus, replicas=1)
        assert await replicas_of(bus) == {1}


async def test_more_replicas_than_a_single_server_can_have_are_an_error(tmp_path: Path):
    async with nats_server(tmp_path) as server, connect(server.url, name="service") as bus:
        with pytest.raises(BusError, match="replicas > 1 not supported"):
            await provision_in_time(bus, replicas=3)
