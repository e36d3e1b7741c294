"""Measures the event store: events/s from the bus to PostgreSQL, CPU per event, and how soon one event is stored.

    python benchmarks/store.py [--events 200000] [--runs 500] [--batch-size 1000] [--durable]

A real NATS server, a real PostgreSQL (durable: with fsync, as in production) and the store as processes of their own.
The events are log lines of 16 runs, about 380 bytes each, published before the store starts ("drain"), then while it
runs ("live": the publisher takes a share of the same processors); then whole runs one after the other ("runs": every
event changes projections, batches are small), then single events ("single").
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
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psutil
import uvloop
from dagwire_shared import events
from dagwire_shared.bus import Message
from dagwire_shared.envelope import event_message
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
            events.LogWritten(level="INFO", message=f"processed {number} rows of the table", step_key="summarise"),
            id=f"{RUNS[number % 16]}:1:{number}",
            source="/dagwire/run-worker",
            subject=RUNS[number % 16],
            time=now,
        )
        for number in range(start, start + count)
    ]


def whole_run(number: int) -> list[Message]:
    """Return the seven events of a run of one op: all of them change projections."""
    run_id, now = str(uuid.uuid5(uuid.NAMESPACE_URL, f"run {number}")), datetime.now(UTC)
    by = events.RequestedBy(kind="api")
    said: list[events.Event] = [
        events.RunQueued(key="k", location="l", repository="r", job="j", requested_by=by, requested_at=now),
        events.RunLaunched(backend="process", worker="1"),
        events.RunStarted(worker="w", host="h", pid=1),
        events.RunPlanned(executor="in_process", steps=[events.PlannedStep(key="nothing")]),
        events.StepStarted(step_key="nothing", pid=1),
        events.StepSucceeded(step_key="nothing", seconds=0.1),
        events.RunSucceeded(seconds=0.2),
    ]
    return [
        event_message(event, id=f"{run_id}:1:{place}", source="/dagwire/run-worker", subject=run_id, time=now)
        for place, event in enumerate(said)
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
def store(setting: Setting) -> Iterator[int]:
    """Run the store; yields its process id."""
    environment = {
        **os.environ,
        "DAGWIRE_EVENTSTORE_NATS_URL": setting.nats.url,
        "DAGWIRE_EVENTSTORE_DATABASE_URL": setting.url,
        "DAGWIRE_EVENTSTORE_BATCH_SIZE": str(setting.options.batch_size),
    }
    with (setting.directory / "store.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagwire_eventstore"], env=environment, stdout=log, stderr=log
        )
    try:
        yield process.pid
    finally:
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


async def measure(setting: Setting, name: str, count: int, store_pid: int, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` and print what it took per event."""
    assert setting.postgres.process is not None
    parts = {"store": store_pid, "postgres": setting.postgres.process.pid, "nats": setting.nats.pid}
    before = {part: cpu_seconds(pid) for part, pid in parts.items()}
    began = time.perf_counter()
    await work()
    seconds = time.perf_counter() - began
    per_event = {part: (cpu_seconds(pid) - before[part]) / count * 1e6 for part, pid in parts.items()}
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
        f"{options.events:,} events of {len(lines(0, 1)[0].body)} bytes, batches of {options.batch_size}, "
        f"PostgreSQL {'durable' if options.durable else 'without fsync'}, {os.cpu_count()} processors"
    )
    await publish(bus, 0, 1)  # the store starts on it: its start-up is not measured
    with store(setting):
        await until_stored(setting.url, 1)
    await publish(bus, 1, options.events)
    with store(setting) as pid:

        async def drain() -> None:
            await until_stored(setting.url, (await bus.streams.position(EVENTS)).last)

        await until_stored(setting.url, 2)
        left = (await bus.streams.position(EVENTS)).last - await stored_through(setting.url)
        await measure(setting, "drain", left, pid, drain)

        async def live() -> None:
            await publish(bus, options.events + 1, options.events)
            await drain()

        await measure(setting, "live", options.events, pid, live)

        async def runs() -> None:
            for number in range(options.runs):
                await bus.streams.publish_all(whole_run(number))
            await drain()

        await measure(setting, "runs", 7 * options.runs, pid, runs)
        times = sorted(await single(setting, 200))
        print(f"single   published → stored: median {statistics.median(times):.1f} ms, p99 {times[-2]:.1f} ms")
        memory = psutil.Process(pid).memory_info().rss
        print(f"memory   {memory / 2**20:.0f} MiB resident in the store")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--durable", action=argparse.BooleanOptionalAction, default=True)
    uvloop.run(run(parser.parse_args()))
