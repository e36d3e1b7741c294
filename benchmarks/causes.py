"""Measures how soon a launcher tells what happens to a worker in the cluster of $KUBECONFIG.

    python benchmarks/causes.py [--repeat 10]

An op says the time and ends its process at once; what is measured is from there to the event that the run is lost. And
from the Job's creation to the event that says what keeps its worker from running. Needs the images of `make images`.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from dagwire_shared.jetstream import connect
from support import kubelaunch
from support.buses import fresh
from support.kube import missing, new_namespace
from support.kubelaunch import LAYER, Stage
from support.launching import cancel_run, request_run, serve

CODE = """
import os
import time

from dagwire import job, op


@op
def leave(context):
    context.log.info(str(time.time()))
    time.sleep(0.2)  # until the line is on the bus
    os._exit(3)


@job
def leaving():
    leave()
"""
_PASSED_ON = 0.2
DELAYS = {
    "image that does not exist": {"image": "dagwire/no-such-image:1"},
    "secret that does not exist": {"envSecrets": ["no-such-secret"]},
    "node that does not exist": {"nodeSelector": {"disk": "none"}},
}


def show(what: str, seconds: Sequence[float]) -> None:
    values = sorted(seconds)
    print(f"  {what:30} median {statistics.median(values):5.2f} s   worst {values[-1]:5.2f} s   of {len(values)}")


async def ends(stage: Stage, repeat: int) -> list[float]:
    """Seconds from the end of a worker's process to the event that says so."""
    found = []
    async with stage.launcher():
        for number in range(repeat):
            events = await stage.said(await request_run(stage.bus, f"leaving {number}", "leaving"))
            lines = [one for one in events if one.type == "dagwire.log.written"]
            left = float(lines[-1].data["message"]) + _PASSED_ON
            found.append(events[-1].time.timestamp() - left)
    return found


async def delays(stage: Stage, layer: dict[str, object], repeat: int) -> list[float]:
    """Seconds from the creation of a Job to the event that says what keeps its worker from running."""
    found = []
    stage.layer = {**LAYER, **layer}
    async with stage.launcher():
        for number in range(repeat):
            run_id = await request_run(stage.bus, f"{layer} {number}", "leaving")
            events = await stage.said(run_id, "dagwire.worker.delayed")
            launched = next(one for one in events if one.type == "dagwire.run.launched")
            found.append((events[-1].time - launched.time).total_seconds())
            await cancel_run(stage.bus, run_id)
            await stage.said(run_id)
    return found


async def main(repeat: int) -> None:
    with new_namespace("dagwire-bench") as namespace, kubelaunch.bus_in(namespace) as addresses:
        await fresh(addresses)
        async with connect(addresses.url, name="benchmark") as bus:
            place = kubelaunch.location(namespace, code=CODE)
            await serve(bus, place)
            stage = Stage(bus, namespace, addresses, place)
            print("\nFrom the end of a worker's process to the run's end")
            show("process ended", await ends(stage, repeat))
            print("From the Job's creation to what delays its worker")
            for what, layer in DELAYS.items():
                show(what, await delays(stage, layer, repeat))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=10)
    given = parser.parse_args()
    if (lack := missing()) is not None:
        sys.exit(lack)
    asyncio.run(main(given.repeat))
