"""Measures a release of the chart on the cluster of $KUBECONFIG and prints tables: `make bench-kube`.

    python benchmarks/kube.py [idle | latency | throughput] [--repeat N]

It installs the chart in a namespace of its own, with the images of `make images`, and deletes it in the end. Times are
read from the events, memory and CPU from the kubelet's own figures.
"""

import argparse
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from run import spread, table
from support import kube
from support.release import Release
from support.standalone import follow_to_end

REPO = Path(__file__).parent / "repo.py"
MIB = 2**20
AT_ONCE = 200
CODE = "benchmarks"
"""The code location, and the ConfigMap that holds its file."""

VALUES = {
    "runs": {"maxConcurrent": 40},
    "userDeployments": [
        {
            "name": CODE,
            "image": {"repository": "dagwire/user-code", "tag": kube.IMAGE_TAG},
            "dagsterApiGrpcArgs": ["-f", "/code/repo.py"],
            # Runs get it, too.
            "volumes": [{"name": "code", "configMap": {"name": CODE}}],
            "volumeMounts": [{"name": "code", "mountPath": "/code"}],
        }
    ],
}


def launch(client: httpx.Client, job: str) -> tuple[str, datetime]:
    asked = datetime.now(UTC)
    body = {"location": CODE, "repository": "benchmarks", "job": job}
    answer = client.post("/api/v1/runs", json=body).raise_for_status()
    return answer.json()["run_id"], asked


def moments(client: httpx.Client, run_id: str) -> dict[str, datetime]:
    _, seen = follow_to_end(client, run_id)
    return {event["type"]: datetime.fromisoformat(event["time"]) for _, event in seen}


STAGES = {
    "Job created": "dagwire.run.launched",
    "worker started": "dagwire.run.started",
    "succeeded": "dagwire.run.succeeded",
}


def latency(release: Release, repeat: int) -> None:
    """Request → Job created → worker started → succeeded, one run at a time."""
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    with release.dagit() as client:
        for _ in range(repeat):
            run_id, asked = launch(client, "one_op")
            at = moments(client, run_id)
            for stage, type_ in STAGES.items():
                seconds[stage].append((at[type_] - asked).total_seconds())
    rows = [[stage, spread(values)] for stage, values in seconds.items()]
    table(f"One run at a time, median of {repeat} (min to max)", ["request →", "after"], rows)


def throughput(release: Release, repeat: int) -> None:
    """200 runs requested at once."""
    del repeat
    with release.dagit() as client:
        began, before = time.monotonic(), cpu_seconds(release)
        with ThreadPoolExecutor(10) as pool:
            asked = list(pool.map(lambda _: launch(client, "one_op"), range(AT_ONCE)))
        with ThreadPoolExecutor(20) as pool:
            ends = list(pool.map(lambda one: moments(client, one[0]), asked))
        took = time.monotonic() - began
    rows = []
    for stage, type_ in STAGES.items():
        after = sorted((at[type_] - when).total_seconds() for at, (_, when) in zip(ends, asked, strict=True))
        rows.append([stage, f"{after[0]:.1f} s", f"{statistics.median(after):.1f} s", f"{after[-1]:.1f} s"])
    table(f"{AT_ONCE} runs at once: all ended after {took:.1f} s", ["request →", "first", "median", "last"], rows)
    after_cpu = cpu_seconds(release)
    spent = [[name, f"{after_cpu[name] - before.get(name, 0):.1f} s"] for name in sorted(after_cpu)]
    table("CPU of the release's pods meanwhile", ["pod", "CPU"], spent)


def idle(release: Release, repeat: int) -> None:
    """Memory and CPU of each pod while nothing happens."""
    del repeat
    seconds = 40.0
    time.sleep(20)
    before = cpu_seconds(release)
    time.sleep(seconds)
    memory, after = memory_bytes(release), cpu_seconds(release)
    rows = [
        [name, f"{memory[name] / MIB:.0f} MiB", f"{100 * (after[name] - before.get(name, 0)) / seconds:.2f} %"]
        for name in sorted(memory)
    ]
    rows.append(["all", f"{sum(memory.values()) / MIB:.0f} MiB", ""])
    table(f"Idle for {seconds:.0f} s", ["pod", "memory (working set)", "CPU of one core"], rows)


def pods(release: Release) -> list[dict]:
    """What the kubelets tell of the release's own pods."""
    nodes = json.loads(kube.run(["kubectl", "get", "nodes", "-l", "!kwok.x-k8s.io/node", "-o", "json"]))["items"]
    paths = [f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary" for node in nodes]
    found = [pod for path in paths for pod in json.loads(kube.run(["kubectl", "get", "--raw", path]))["pods"]]
    mine = [pod for pod in found if pod["podRef"]["namespace"] == release.namespace.name]
    return [pod for pod in mine if not pod["podRef"]["name"].startswith("dagwire-run-")]


def cpu_seconds(release: Release) -> dict[str, float]:
    return {pod["podRef"]["name"]: pod.get("cpu", {}).get("usageCoreNanoSeconds", 0) / 1e9 for pod in pods(release)}


def memory_bytes(release: Release) -> dict[str, int]:
    return {pod["podRef"]["name"]: pod.get("memory", {}).get("workingSetBytes", 0) for pod in pods(release)}


PARTS = {"idle": idle, "latency": latency, "throughput": throughput}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; all if none is named")
    parser.add_argument("--repeat", type=int, default=10)
    options = parser.parse_args()
    if (lack := kube.missing()) is not None:
        raise SystemExit(lack)
    with kube.new_namespace("dagwire-bench") as namespace:
        release = Release(namespace)
        namespace.kubectl("create", "configmap", CODE, f"--from-file=repo.py={REPO}")
        release.upgrade(VALUES)
        for name in options.parts or PARTS:
            PARTS[name](release, options.repeat)


if __name__ == "__main__":
    main()
