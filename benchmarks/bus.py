"""Measures the bus adapter on this machine against a real NATS server; prints a table.

Run it with ``uv run --all-groups python benchmarks/bus.py``.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from statistics import quantiles

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from dagwire_shared.bus import Consumer, Message  # after the path
from dagwire_shared.ids import run_id_for
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from dagwire_shared.streams import EVENTS, QUEUE
from dagwire_shared.subjects import Kind, event_subject, request_subject
from support.nats import nats_server

BODY = b"x" * 500
SUBJECT = event_subject(run_id_for("benchmark"), Kind.LOG)
Row = tuple[str, str]


def log_events(count: int, prefix: str) -> list[Message]:
    return [Message(SUBJECT, BODY, f"{prefix}-{number}") for number in range(count)]


@contextlib.asynccontextmanager
async def a_bus() -> AsyncIterator[JetStreamBus]:
    with tempfile.TemporaryDirectory(prefix="dagwire-bench-") as directory:
        async with nats_server(Path(directory)) as server, connect(server.url, name="benchmark") as bus:
            await provision(bus)
            yield bus


async def rate(count: int, work: Callable[[], Awaitable[object]]) -> str:
    began = time.perf_counter()
    await work()
    return f"{count / (time.perf_counter() - began):>10,.0f} /s"


async def publishing(count: int) -> list[Row]:
    async with a_bus() as bus:
        streams = bus.streams
        rows = [("publish_all, one call", await rate(count, lambda: streams.publish_all(log_events(count, "one"))))]
        for size in (5, 20, 100, 500):
            total = min(count, size * 200)

            async def in_series(size: int = size, total: int = total) -> None:
                for start in range(0, total, size):
                    await streams.publish_all(log_events(size, f"{size}-{start}"))

            rows.append((f"publish_all, series of {size}", await rate(total, in_series)))
        requests = [Message(request_subject(str(number)), BODY, f"r{number}") for number in range(count // 4)]
        rows.append(("publish_all, requests", await rate(len(requests), lambda: streams.publish_all(requests))))
        return rows


async def reading(count: int) -> list[Row]:
    async with a_bus() as bus:
        await bus.streams.publish_all(log_events(count, "read"))

        async def follow() -> None:
            seen = 0
            async with contextlib.aclosing(bus.streams.follow(EVENTS)) as batches:
                async for batch in batches:
                    seen += len(batch.deliveries)
                    if seen == count:
                        return

        async def consume(limit: int) -> None:
            reader = Consumer(stream=EVENTS, name=f"reader-{limit}", max_unacknowledged=4 * limit)
            seen = 0
            async with bus.streams.consume(reader) as subscription:
                while seen < count:
                    batch = await subscription.batch(limit, wait=timedelta(seconds=5))
                    await subscription.acknowledge(batch)
                    seen += len(batch)

        return [
            ("follow", await rate(count, follow)),
            ("consume + acknowledge, batches of 1000", await rate(count, lambda: consume(1000))),
            ("consume + acknowledge, batches of 100", await rate(count, lambda: consume(100))),
        ]


async def latency(count: int) -> list[Row]:
    async with a_bus() as bus:
        alone = []
        for message in log_events(count, "alone"):
            began = time.perf_counter()
            await bus.streams.publish(message)
            alone.append(time.perf_counter() - began)
        seen: asyncio.Queue[float] = asyncio.Queue()

        async def follow() -> None:
            async with contextlib.aclosing(bus.streams.follow(QUEUE)) as batches:
                async for batch in batches:
                    for _ in batch.deliveries or (None,):
                        seen.put_nowait(time.perf_counter())

        following = asyncio.create_task(follow())
        await seen.get()
        through = []
        for number in range(count):
            began = time.perf_counter()
            await bus.streams.publish(Message(f"dagwire.v1.queue.{number}", BODY, f"q{number}"))
            through.append(await seen.get() - began)
        following.cancel()
        return [
            ("publish, one at a time", f"{count / sum(alone):>10,.0f} /s"),
            ("publish → acknowledged", spread(alone)),
            ("publish → seen by a follower", spread(through)),
        ]


def spread(seconds: list[float]) -> str:
    cuts = quantiles(seconds, n=100)
    return f"{cuts[49] * 1000:>10.2f} ms p50   {cuts[98] * 1000:.2f} ms p99"


def import_time() -> list[Row]:
    rows = []
    for module in ("dagwire_shared.jetstream", "nats.aio.client", "asyncio"):
        code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        taken = min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5))
        rows.append((f"import {module}", f"{taken * 1000:>10.0f} ms"))
    return rows


async def measure(count: int) -> list[Row]:
    rows = await publishing(count)
    rows += await reading(count)
    return rows + await latency(min(count, 2000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40_000, help="messages of 500 bytes")
    count = parser.parse_args().count
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure(count))
    rows += import_time()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    main()
