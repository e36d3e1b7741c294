"""Measures what a step costs in a worker of its own, beside the multiprocess executor, and prints tables.

    python benchmarks/steps.py [local | kube] [--repeat N]

``local``: on this machine, with `dagwire up`. ``kube``: a release of the chart on the cluster of $KUBECONFIG, with the
images of `make images`. Times are read from the events.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from kube import CODE, VALUES
from run import REPO, launch, spread, table
from support import kube
from support.release import Release
from support.standalone import Standalone, follow_to_end

STEPS = 10
EXECUTORS = {
    "multiprocess": "multiprocess",
    "multiprocess, a process per step": "fresh_processes",
    "kubernetes": "kubernetes",
}
STARTED = "dagwire.step.started"


def times(client: httpx.Client, job: str) -> tuple[float, list[float]]:
    """Seconds from the plan to the end of a run, and from each step's order to its start."""
    run_id, _ = launch(client, job)
    _, seen = follow_to_end(client, run_id)
    events = [event for _, event in seen]
    assert events[-1]["type"] == "dagwire.run.succeeded", events[-1]
    at = {event["type"]: datetime.fromisoformat(event["time"]) for event in events}
    ordered = {one["data"]["step_key"]: _time(one) for one in events if one["type"] == "dagwire.step_worker.requested"}
    started = {one["data"]["step_key"]: _time(one) for one in events if one["type"] == STARTED}
    waits = [(started[key] - when).total_seconds() for key, when in ordered.items()]
    return (at["dagwire.run.succeeded"] - at["dagwire.run.planned"]).total_seconds(), waits


def _time(event: dict) -> datetime:
    return datetime.fromisoformat(event["time"])


def measure(client: httpx.Client, repeat: int, where: str) -> None:
    for shape, words in (("row", "one after the other"), ("wide", "side by side")):
        rows = []
        for name, executor in EXECUTORS.items():
            taken = [times(client, f"{shape}_{executor}") for _ in range(repeat)]
            waits = [wait for _, each in taken for wait in each]
            rows.append([name, spread([run for run, _ in taken]), spread(waits) if waits else ""])
        title = f"{STEPS} trivial steps {words}, {where}, median of {repeat} (min to max)"
        table(title, ["executor", "plan → end", "order of a step → its start"], rows)


def local(repeat: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        dagwire = Standalone(Path(directory) / "data", "-f", str(REPO))
        dagwire.start()
        try:
            with dagwire.client() as client:
                measure(client, repeat, "on one machine")
        finally:
            dagwire.stop()


def in_cluster(repeat: int) -> None:
    if (lack := kube.missing()) is not None:
        raise SystemExit(lack)
    with kube.new_namespace("dagwire-bench") as namespace:
        release = Release(namespace)
        namespace.kubectl("create", "configmap", CODE, f"--from-file=repo.py={REPO}")
        release.upgrade({**VALUES, "image": {"tag": kube.IMAGE_TAG}})
        with release.dagit() as client:
            measure(client, repeat, "in a cluster of one node")


PARTS: dict[str, Callable[[int], None]] = {"local": local, "kube": in_cluster}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    PARTS[options.part](options.repeat)


if __name__ == "__main__":
    main()
