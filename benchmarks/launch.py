"""Measures the launcher and its workers alone: NATS, one launcher with the process backend, no database.

    python benchmarks/launch.py [--runs 30] [--burst 100] [--limit 10]

Prints how long after its request a run is queued, launched, started, planned and ended; what one run costs in CPU, by
process; and a burst of one-op runs. Figures of a shared machine are noisy: quote medians.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from dagwire_shared.envelope import Envelope
from dagwire_shared.jetstream import JetStreamBus, connect
from support.buses import fresh
from support.launching import LauncherProcess, launchers, location, request_run, said, serve, until_said
from support.nats import NatsServer, nats_server

MOMENTS = ("queued", "launched", "started", "planned", "succeeded")


def offsets(events: Sequence[Envelope], asked: float) -> dict[str, float]:
    """Milliseconds from the request to the first event of each kind."""
    found: dict[str, float] = {}
    for event in events:
        found.setdefault(event.type.rpartition(".")[2], (event.time.timestamp() - asked) * 1000)
    return found


def cpu(process: psutil.Process, *, children: bool = False) -> float:
    times = process.cpu_times()
    return times.children_user + times.children_system if children else times.user + times.system


async def one_by_one(bus: JetStreamBus, launcher: psutil.Process, server: NatsServer, runs: int) -> None:
    rows: list[dict[str, float]] = []
    nats = psutil.Process(server.pid)
    before = cpu(launcher), cpu(launcher, children=True), cpu(nats)
    for number in range(runs):
        asked = time.time()
        run_id = await request_run(bus, f"one {number}")
        await until_said(bus, run_id)
        rows.append(offsets(await said(bus, run_id), asked))
        await settled(launcher)
    print(f"\nOne run at a time, {runs} runs: milliseconds after the request")
    for moment in MOMENTS:
        values = sorted(row[moment] for row in rows if moment in row)
        print(
            f"  {moment:10} median {statistics.median(values):6.0f}   best {values[0]:6.0f}   worst {values[-1]:6.0f}"
        )
    after = cpu(launcher), cpu(launcher, children=True), cpu(nats)
    for name, first, last in zip(("launcher", "worker", "nats-server"), before, after, strict=True):
        print(f"  CPU of the {name:12} {(last - first) / runs * 1000:6.1f} ms per run")


async def settled(launcher: psutil.Process) -> None:
    while launcher.children():  # noqa: ASYNC110 -- other processes tell of no event
        await asyncio.sleep(0.002)


async def burst(bus: JetStreamBus, launcher: psutil.Process, runs: int, limit: int) -> None:
    begun = time.perf_counter()
    keys = [f"burst {number}" for number in range(runs)]
    found = await asyncio.gather(*(request_run(bus, key) for key in keys))
    accepted = time.perf_counter() - begun
    for run_id in found:
        await until_said(bus, run_id, seconds=600)
    seconds = time.perf_counter() - begun
    memory = launcher.memory_info().rss / 2**20
    print(f"\n{runs} runs at once, {limit} workers at most")
    print(f"  accepted after {accepted:.2f} s, all ended after {seconds:.1f} s: {runs / seconds:.1f} runs/s")
    print(f"  memory of the launcher {memory:.0f} MiB")


async def main(runs: int, many: int, limit: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="dagwire-launch-"))
    async with nats_server(directory / "nats") as server:
        await fresh(server)
        async with (
            connect(server.url, name="benchmark") as bus,
            launchers(server.url, directory, max_concurrent_runs=limit) as make,
        ):
            await serve(bus, location(directory / "code"))
            launcher: LauncherProcess = make()
            await until_said(bus, await request_run(bus, "warm"))
            process = psutil.Process(launcher.pid)
            await one_by_one(bus, process, server, runs)
            await burst(bus, process, many, limit)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--burst", type=int, default=100)
    parser.add_argument("--limit", type=int, default=10)
    given = parser.parse_args()
    asyncio.run(main(given.runs, given.burst, given.limit))
