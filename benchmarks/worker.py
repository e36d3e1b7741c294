"""Measures what a run worker's start costs, step by step: fresh processes, best and median of several.

    python benchmarks/worker.py [--repeat 15]

CPU is what the kernel booked for the process, wall is what a person waits. No server is needed.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.process import ProcessBackend, ProcessSettings
from dagwire_shared.ids import run_id_for
from support.launching import location

STEPS = {
    "python alone": "",
    "asyncio": "import asyncio",
    "nats-py": "import nats",
    "all that takes a run (adapter, claim, link)": "import dagwire.worker.__main__",
    "pydantic's model machinery": "import pydantic.main",
    "the models of events and commands": "import dagwire_shared.envelope",
    "all that runs a job": "import dagwire.worker.__main__, dagwire.worker.run",
}
FRAME = """
import gc
gc.disable()
{}
import os
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")), flush=True)
os._exit(0)
"""


def start(code: str) -> tuple[float, float, int]:
    """CPU and wall milliseconds, and peak memory in KiB, of one fresh process."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    command = [sys.executable, "-P", "-c", FRAME.format(code)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu * 1000, wall * 1000, int(done.stdout)


def spawn(directory: Path, repeat: int) -> list[float]:
    """Milliseconds in which the process backend has created a worker: directory, files, process, note."""
    settings = ProcessSettings(
        directory=directory / "runs",
        credentials=WorkerCredentials("benchmark " * 4, "nats://127.0.0.1"),
        output_bytes=1,
        keep_runs=0,
        keep_for=timedelta(days=1),
    )
    backend = ProcessBackend(settings)
    place = location(directory / "code", executable="/bin/true")
    found = []
    for number in range(repeat):
        order = WorkerOrder(run_id_for(f"run {number}"), b"{}", place)
        begun = time.perf_counter()
        backend._create(order)  # noqa: SLF001 -- without the thread that it is given in the service
        found.append((time.perf_counter() - begun) * 1000)
    return found


def show(values: list[float]) -> str:
    return f"{min(values):6.1f} / {statistics.median(values):6.1f} ms"


def main(repeat: int) -> None:
    print(f"{'':45} {'CPU best / median':>22} {'wall best / median':>22} {'peak memory':>12}")
    for name, code in STEPS.items():
        start(code)
        rows = [start(code) for _ in range(repeat)]
        cpu, wall, memory = ([row[part] for row in rows] for part in range(3))
        print(f"{name:45} {show(cpu):>22} {show(wall):>22} {max(memory) / 1024:8.0f} MiB")
    with tempfile.TemporaryDirectory() as directory:
        print(f"{'creating a worker process (spawn)':45} {'':>22} {show(spawn(Path(directory), repeat)):>22}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=15)
    main(parser.parse_args().repeat)
