"""Measures how fast a launcher creates Jobs: many queued runs, one launcher, simulated nodes, no event store.

    python benchmarks/jobs.py [--runs 5000] [--at-once 20] [--bare]

Needs the cluster of $KUBECONFIG with nodes that bear the label and the taint ``kwok.x-k8s.io/node=fake`` (kwok). Pods
there succeed after a second without a worker, so each run ends as lost; what is measured is its launch. The runs are
admitted first and held, so that all of them wait when the launcher begins. With --bare the same Jobs are created
without a launcher and a bus: what the API server and the cluster behind it allow.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.kubernetes.access import read_access
from dagwire_launcher.kubernetes.api import Api
from dagwire_launcher.kubernetes.creation import create_job
from dagwire_launcher.kubernetes.layers import RunConfig
from dagwire_launcher.kubernetes.manifest import job_manifest, run_worker
from dagwire_shared.commands import RunCode
from dagwire_shared.ids import run_id_for
from dagwire_shared.jetstream import JetStreamBus, connect
from dagwire_shared.records import CodeLocation, CodePointer
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import Kind, kind_filter
from support.buses import fresh
from support.kube import Namespace, missing, new_namespace
from support.launching import LauncherProcess, launchers, request_run, serve, until_admitted
from support.nats import nats_server

PLACE = CodeLocation(
    name="here",
    image="example/never-pulled:1",
    definitions_hash="abc",
    pointer=CodePointer(python_file="repo.py", working_directory="/app", executable="python"),
)
FAKE = {
    "nodeSelector": {"kwok.x-k8s.io/node": "fake"},
    "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
}
MANY = 100_000


async def request(bus: JetStreamBus, runs: int) -> float:
    """Ask for runs, and return the seconds until all are admitted."""
    begun = time.perf_counter()
    for start in range(0, runs, 200):
        await asyncio.gather(*(request_run(bus, f"run {number}") for number in range(start, min(start + 200, runs))))
    await until_admitted(bus)
    return time.perf_counter() - begun


async def launched(bus: JetStreamBus, runs: int) -> list[float]:
    """The times at which runs were said to be launched, when so many are."""
    times: list[float] = []
    async for batch in bus.streams.follow(EVENTS, subjects=[kind_filter(Kind.LAUNCH)]):
        times += [
            one.time.timestamp() for one in batch.deliveries if json.loads(one.body)["type"] == "dagwire.run.launched"
        ]
        if len(times) >= runs:
            return times
    raise AssertionError("unreachable")


def report(times: Sequence[float], process: psutil.Process, before: float) -> None:
    """Print the rate over all, and over the slowest thousand."""
    times = sorted(times)
    seconds = times[-1] - times[0]
    spans = [times[end] - times[end - 999] for end in range(999, len(times), 500)]
    used = process.cpu_times()
    cpu = (used.user + used.system - before) / len(times) * 1000
    print(f"  {len(times)} Jobs in {seconds:.1f} s: {len(times) / seconds:.1f} Jobs/s")
    if spans:
        print(f"  slowest thousand: {1000 / max(spans):.1f} Jobs/s, fastest: {1000 / min(spans):.1f} Jobs/s")
    print(f"  CPU of the launcher: {cpu:.1f} ms per run; memory {process.memory_info().rss / 2**20:.0f} MiB")


async def measure(namespace: Namespace, directory: Path, runs: int, at_once: int) -> None:
    config = directory / "run.yaml"
    config.write_text(yaml.safe_dump({"kubernetes": {"default": FAKE}}))
    settings = {
        "backend": "kubernetes",
        "namespace": namespace.name,
        "instance": "benchmark",
        "run_config": config,
        "launches_at_once": at_once,
        "keep_runs": MANY,
        "log_level": "WARNING",
    }
    async with nats_server(directory / "nats") as server:
        await fresh(server)
        async with (
            connect(server.url, name="benchmark") as bus,
            launchers(server.url, directory, **settings) as make,
        ):
            await serve(bus, PLACE)
            holding: LauncherProcess = make("holding", max_concurrent_runs=0)
            admitted = await request(bus, runs)
            print(f"\n{runs} runs, {at_once} Jobs created at once")
            print(f"  admitted in {admitted:.1f} s: {runs / admitted:.0f} runs/s")
            await holding.stop()
            launcher: LauncherProcess = make("acting", max_concurrent_runs=MANY)
            process = psutil.Process(launcher.pid)
            report(await launched(bus, runs), process, 0.0)


async def create_bare(namespace: Namespace, runs: int, at_once: int) -> None:
    """Create Jobs as fast as the API server takes them."""
    config = RunConfig({"default": FAKE})
    code = RunCode(pointer=PLACE.pointer, image=PLACE.image)
    gate = asyncio.Semaphore(at_once)

    async def create(api: Api, number: int) -> None:
        run_id = run_id_for(f"bare {number}")
        order = WorkerOrder(run_id=run_id, job="one_op", location="here", message=b"{}" * 500, code=code)
        merged = config.of(order)
        worker = run_worker(order, merged, credential={}, instance="bare", ttl_seconds=3600)
        async with gate:
            await create_job(api, job_manifest(worker, merged))

    async with Api(namespace.name, read_access) as api:
        begun = time.perf_counter()
        await asyncio.gather(*(create(api, number) for number in range(runs)))
        seconds = time.perf_counter() - begun
    print(f"\n{runs} Jobs, {at_once} at once, no launcher: {seconds:.1f} s, {runs / seconds:.1f} Jobs/s")


async def main(runs: int, at_once: int, *, bare: bool) -> None:
    with new_namespace("dagwire-bench", restricted=False) as namespace:
        if bare:
            await create_bare(namespace, runs, at_once)
        else:
            await measure(namespace, Path(tempfile.mkdtemp(prefix="dagwire-jobs-")), runs, at_once)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--bare", action="store_true")
    given = parser.parse_args()
    if (lack := missing()) is not None:
        sys.exit(lack)
    asyncio.run(main(given.runs, given.at_once, bare=given.bare))
