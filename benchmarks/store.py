"""Measures the event store: events/s from the bus to PostgreSQL, CPU per event, and how soon one event is stored.

    python benchmarks/store.py [--events 200000] [--partitions 1] [--replicas 1] [--batch-size 1000] [--durable]

A real NATS server, a real PostgreSQL (durable: with fsync, as in production) and the store as processes of their own.
The events are log lines of 16 runs, about 380 bytes each, published before the store starts ("drain"), then while it
runs ("live": the publisher takes a share of the same processors), then one by one ("single").
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psutil
import uvloop
from dagwire_shared.bus import Message
from dagwire_shared.envelope import event_message
from dagwire_shared.events import LogWritten
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import STORED_SIGNAL
from dagwire_standalone.postgres import PostgresServer

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.nats import NatsServer, nats_server

RUNS = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"benchmark {number}")) for number in range(16)]
CHUNK = 4000


def lines(start: int, count: int) -> list[Message]:
    """Return log lines as a run worker publishes them."""
    now = datetime.now(UTC)
    return [
        event_message(
            LogWritten(level="INFO", message=f"processed {number} rows of the table", step_key="summarise"),
            id=f"{RUNS[number % 16]}:1:{number}",
            source="/dagwire/run-worker",
            subject=RUNS[number % 16],
            time=now,
        )
        for number in range(start, start + count)
    ]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its living descendants."""
    total = 0.0
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        times = one.cpu_times()
        total += times.user + times.system
    return total


@dataclass(frozen=True)
class Setting:
    """What runs."""

    bus: JetStreamBus
    nats: NatsServer
    postgres: PostgresServer
    url: str
    options: argparse.Namespace
    directory: Path


@contextmanager
def stores(setting: Setting) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run the replicas."""
    environment = {
        **os.environ,
        "DAGWIRE_EVENTSTORE_NATS_URL": setting.nats.url,
        "DAGWIRE_EVENTSTORE_DATABASE_URL": setting.url,
        "DAGWIRE_EVENTSTORE_PARTITIONS": str(setting.options.partitions),
        "DAGWIRE_EVENTSTORE_BATCH_SIZE": str(setting.options.batch_size),
    }
    with (setting.directory / "store.log").open("ab") as log:
        command = [sys.executable, "-m", "dagwire_eventstore"]
        processes = [
            subprocess.Popen(command, env=environment, stdout=log, stderr=log) for _ in range(setting.options.replicas)
        ]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
            process.wait()


async def stored_through(url: str) -> int:
    """Return how far every shard is stored."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetchrow("SELECT count(*), min(seq) FROM progress")
    except asyncpg.UndefinedTableError:
        return 0
    finally:
        await connection.close()
    return int(found[1]) if found[0] == 16 else 0


async def until_stored(url: str, sequence: int) -> None:
    while await stored_through(url) < sequence:  # noqa: ASYNC110 -- what another process commits can only be asked for
        await asyncio.sleep(0.02)


async def measure(
    setting: Setting, name: str, count: int, processes: list[subprocess.Popen[bytes]], work: Callable
) -> None:
    """Run ``work`` and print what it took per event."""
    assert setting.postgres.process is not None
    parts = {
        "store": [process.pid for process in processes],
        "postgres": [setting.postgres.process.pid],
        "nats": [setting.nats.pid],
    }
    before = {part: sum(map(cpu_seconds, pids)) for part, pids in parts.items()}
    began = time.perf_counter()
    await work()
    seconds = time.perf_counter() - began
    spent = {part: sum(map(cpu_seconds, pids)) - before[part] for part, pids in parts.items()}
    per_event = {part: value / count * 1e6 for part, value in spent.items()}
    shares = "  ".join(f"{part} {value:5.1f}" for part, value in per_event.items())
    print(
        f"{name:<8} {count / seconds:>9,.0f} events/s   CPU µs per event: {shares}   "
        f"total {sum(per_event.values()):5.1f}"
    )


async def single(setting: Setting, count: int) -> list[float]:
    """Publish events one by one; return for each the milliseconds until the store said that it is stored."""
    heard: list[float] = []
    signals = setting.bus.signals.listen(STORED_SIGNAL)
    first = asyncio.ensure_future(anext(signals))
    await asyncio.sleep(0.2)  # the subscription is made at the first ``await``
    for number in range(count):
        began = time.perf_counter()
        receipt = await setting.bus.streams.publish(lines(10**9 + number, 1)[0])
        while True:
            _, body = await (first if not first.done() or number == 0 else anext(signals))
            first = asyncio.ensure_future(anext(signals)) if first.done() else first
            if max(json.loads(body)["shards"].values()) >= receipt.sequence:
                break
        heard.append((time.perf_counter() - began) * 1000)
    first.cancel()
    return heard


async def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="dagwire-bench-", ignore_cleanup_errors=True) as place:
        directory = Path(place)
        with PostgresServer(directory / "postgres", durable=options.durable) as postgres:
            postgres.provide("bench", owner="bench")
            async with nats_server(directory / "nats") as nats, connect(nats.url, name="bench") as bus:
                await provision(bus)
                url = postgres.url(role="bench", database="bench")
                await report(Setting(bus, nats, postgres, url, options, directory))


async def publish(bus: JetStreamBus, start: int, count: int) -> None:
    for at in range(start, start + count, CHUNK):
        await bus.streams.publish_all(lines(at, min(CHUNK, start + count - at)))


async def report(setting: Setting) -> None:
    options, bus = setting.options, setting.bus
    print(
        f"{options.events:,} events of {len(lines(0, 1)[0].body)} bytes, {options.replicas} replica(s), "
        f"{options.partitions} partition(s), batches of {options.batch_size}, "
        f"PostgreSQL {'durable' if options.durable else 'without fsync'}, {os.cpu_count()} processors"
    )
    await publish(bus, 0, 1)  # the store starts on it: its start-up is not measured
    with stores(setting):
        await until_stored(setting.url, 1)
    await publish(bus, 1, options.events)
    with stores(setting) as processes:

        async def drain() -> None:
            await until_stored(setting.url, (await bus.streams.position(EVENTS)).last)

        await until_stored(setting.url, 2)
        left = (await bus.streams.position(EVENTS)).last - await stored_through(setting.url)
        await measure(setting, "drain", left, processes, drain)

        async def live() -> None:
            await publish(bus, options.events + 1, options.events)
            await drain()

        await measure(setting, "live", options.events, processes, live)
        times = sorted(await single(setting, 200))
        print(f"single   published → stored: median {statistics.median(times):.1f} ms, p99 {times[-2]:.1f} ms")
        memory = max(psutil.Process(process.pid).memory_info().rss for process in processes)
        print(f"memory   {memory / 2**20:.0f} MiB resident in the largest store process")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--durable", action=argparse.BooleanOptionalAction, default=True)
    uvloop.run(run(parser.parse_args()))
