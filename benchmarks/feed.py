"""Measures the live feed: how long an event takes from its publisher to N clients of one Dagit, and what it costs.

    python benchmarks/feed.py [--clients 50] [--seconds 10] [--rates 20,200,1000]

NATS, PostgreSQL, the event store and Dagit are real processes of this machine; clients read raw sockets in a process
of their own. The time is that between the call of ``publish`` and the client's receipt of the bytes, so it includes
the stream's write to disk. On a shared machine figures are noisy: compare runs.
"""

import argparse
import asyncio
import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from dagwire_shared.bus import Message
from dagwire_shared.events import LogLevel, LogWritten
from dagwire_shared.ids import run_id_for
from support.dagit import an_event, queued
from support.dagitstack import Stack, running_stack
from support.postgres import running_server

SENT = re.compile(rb'"message":"sent (\d+)"')
PATIENCE_SECONDS = 60.0


def sent_now(run: str, number: int) -> Message:
    return an_event(run, LogWritten(level=LogLevel.INFO, message=f"sent {time.time_ns()}"), number=f"1:{number}")


class Client(asyncio.Protocol):
    """Reads a feed and notes when each event came."""

    def __init__(self, run: str, delays: list[float], caught_up: asyncio.Event) -> None:
        self._request = f"GET /api/v1/feed?run={run} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self._delays = delays
        self._caught_up = caught_up
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.time_ns()
        data = self._rest + data
        end = 0
        for found in SENT.finditer(data):
            self._delays.append((now - int(found[1])) / 1e6)
            end = found.end()
        self._rest = data[end:][-200:]
        if b"caught-up" in data:
            self._caught_up.set()


async def read_feeds(port: int, runs: list[str], expected: int, pipe: Connection) -> None:
    delays: list[float] = []
    events = [asyncio.Event() for _ in runs]
    loop = asyncio.get_running_loop()
    for run, event in zip(runs, events, strict=True):
        await loop.create_connection(lambda run=run, event=event: Client(run, delays, event), "127.0.0.1", port)
    for event in events:
        await event.wait()
    pipe.send("ready")
    end = loop.time() + PATIENCE_SECONDS
    while len(delays) < expected and loop.time() < end:  # noqa: ASYNC110 -- an event per delivery would cost what is measured
        await asyncio.sleep(0.05)
    pipe.send(delays)


def clients(port: int, runs: list[str], expected: int, pipe: Connection) -> None:
    asyncio.run(read_feeds(port, runs, expected, pipe))


async def measure(stack: Stack, *, clients_count: int, rate: int, seconds: float, runs_count: int) -> list[str]:
    runs = [run_id_for(f"{time.time_ns()}-{number}") for number in range(runs_count)]
    for run in runs:
        await stack.bus.streams.publish(queued(run))
    total = int(rate * seconds)
    watched = [runs[number % runs_count] for number in range(clients_count)]
    expected = sum(len(range(runs.index(run), total, runs_count)) for run in watched)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=clients, args=(stack.dagit.port, watched, expected, theirs)
    )
    process.start()
    await asyncio.to_thread(ours.recv)
    dagit = psutil.Process(stack.dagit.pid)
    before, began = sum(dagit.cpu_times()[:2]), time.monotonic()
    await publish(stack, runs, total, rate)
    delays = sorted(await asyncio.to_thread(ours.recv))
    spent = (sum(dagit.cpu_times()[:2]) - before) / (time.monotonic() - began)
    process.join()
    assert len(delays) == expected, f"{len(delays)} of {expected} arrived"
    cut = statistics.quantiles(delays, n=1000)
    figures = [f"{value:.1f}" for value in (cut[499], cut[949], cut[989], cut[998], delays[-1])]
    memory = f"{dagit.memory_info().rss / 2**20:.0f} MiB"
    return [str(clients_count), str(runs_count), str(rate), *figures, f"{spent * 100:.0f} %", memory]


async def publish(stack: Stack, runs: list[str], total: int, rate: int) -> None:
    """Publish at a steady rate, each event for itself, as a worker's outbox does with few at hand."""
    began = time.monotonic()
    pending: set[asyncio.Task[object]] = set()
    for number in range(total):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        task = asyncio.create_task(stack.bus.streams.publish(sent_now(runs[number % len(runs)], number)))
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)


def table(header: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rates", default="20,200,1000", help="events per second, over all runs")
    asked = parser.parse_args()
    header = ["clients", "runs", "events/s", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms", "Dagit CPU", "memory"]
    rows = []
    with running_server() as server, tempfile.TemporaryDirectory() as directory:
        async with running_stack(server, Path(directory)) as stack:
            for rate in map(int, asked.rates.split(",")):
                for runs in (1, asked.clients):
                    print(f"{asked.clients} clients, {runs} runs, {rate} events/s …", file=sys.stderr)
                    given = {"clients_count": asked.clients, "rate": rate, "seconds": asked.seconds, "runs_count": runs}
                    rows.append(await measure(stack, **given))
    table(header, rows)


if __name__ == "__main__":
    asyncio.run(main())
