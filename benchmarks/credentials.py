"""Measures what a credential of its own costs a run worker: the time to connect with and without the auth callout.

    python benchmarks/credentials.py [--workers 200] [--rounds 5]

Starts a NATS server and a launcher's callout as processes of their own. "One" connects one worker after another; "at
once" has all of them connect at the same moment, from four processes, and is the time until each is on the bus.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import uvloop
from dagwire_launcher.admission import queued
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.ledger import Ledger
from dagwire_shared.ids import RunId, run_id_for
from dagwire_shared.jetstream import connect, provision
from support.credentials import PASSWORDS, SECRET, as_user, callout, guarded_server
from support.launching import a_request

PROCESSES = 4


def runs(count: int) -> list[RunId]:
    return [run_id_for(f"run {number}") for number in range(count)]


async def one(url: str, prefix: str) -> float:
    begun = time.perf_counter()
    async with connect(url, name="worker", inbox_prefix=prefix):
        return (time.perf_counter() - begun) * 1000


async def serve(url: str) -> None:
    """The part of a launcher that is measured."""
    async with connect(url, name="launcher", inbox_prefix="_INBOX_launcher") as bus, callout(bus).serving(bus):
        print("ready", flush=True)
        await asyncio.Event().wait()


async def crowd(server_url: str, share: list[RunId], at: float) -> list[float]:
    """Connect all of a share at a moment, each as its run."""
    credentials = [WorkerCredentials(SECRET, server_url).environment(run_id) for run_id in share]
    await asyncio.sleep(max(0.0, at - time.time()))
    waits = [one(found["DAGWIRE_WORKER_NATS_URL"], found["DAGWIRE_WORKER_INBOX_PREFIX"]) for found in credentials]
    return await asyncio.gather(*waits)


async def at_once(server_url: str, workers: int) -> list[float]:
    at = str(time.time() + 2.0)
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--crowd", server_url, at, str(workers), str(part), stdout=subprocess.PIPE
        )
        for part in range(PROCESSES)
    ]
    outputs = [(await process.communicate())[0] for process in started]
    return [float(word) for output in outputs for word in output.split()]


def show(what: str, found: list[float]) -> None:
    ordered = sorted(found)
    at99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{what:<36}{statistics.median(ordered):8.1f} ms p50{at99:8.1f} ms p99{ordered[-1]:8.1f} ms worst")


async def measure(workers: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with guarded_server(Path(directory)) as server, as_user(server, "launcher") as bus:
            await provision(bus)
            ledger = Ledger(bus.streams)
            await asyncio.gather(
                *(ledger.say(run_id_for(f"run {n}"), queued(a_request(f"run {n}")), after=0) for n in range(workers))
            )
            launcher_url = server.url_for("launcher", PASSWORDS["launcher"])
            launcher = await asyncio.create_subprocess_exec(
                sys.executable, __file__, "--serve", launcher_url, stdout=subprocess.PIPE
            )
            try:
                assert launcher.stdout is not None
                await launcher.stdout.readline()
                eventstore = server.url_for("eventstore", PASSWORDS["eventstore"])
                show("one, a user of the server", [await one(eventstore, "_INBOX_eventstore") for _ in range(200)])
                show("one, by callout", [(await crowd(server.url, [run], 0))[0] for run in runs(workers)])
                for _ in range(rounds):
                    show(f"{workers} at once, by callout", await at_once(server.url, workers))
            finally:
                launcher.kill()
                await launcher.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--crowd", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        uvloop.run(serve(chosen.serve))
    elif chosen.crowd:
        url, at, workers, part = chosen.crowd
        share = runs(int(workers))[int(part) :: PROCESSES]
        print(*asyncio.run(crowd(url, share, float(at))))
    else:
        uvloop.run(measure(chosen.workers, chosen.rounds))


if __name__ == "__main__":
    main()
