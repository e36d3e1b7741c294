"""Measures a whole Dagwire on this machine and prints tables: `make bench`, or one of them by its name.

    python benchmarks/run.py [latency | throughput | logs | idle | worker] [--repeat N]

Times are read from the events themselves (all on this machine's clock), CPU and memory from the processes. On a
shared machine figures are noisy: quote medians.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.standalone import Standalone, feed, follow_to_end

REPO = Path(__file__).parent / "repo.py"
MIB = 2**20


def launch(client: httpx.Client, job: str) -> tuple[str, datetime]:
    asked = datetime.now(UTC)
    body = {"location": "benchmarks", "repository": "benchmarks", "job": job}
    answer = client.post("/api/v1/runs", json=body).raise_for_status()
    return answer.json()["run_id"], asked


def moments(client: httpx.Client, run_id: str) -> dict[str, datetime]:
    _, seen = follow_to_end(client, run_id)
    return {event["type"]: datetime.fromisoformat(event["time"]) for _, event in seen}


def table(title: str, header: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    print(f"\n{title}\n")
    for row in [header, ["-" * width for width in widths], *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def spread(values: list[float], unit: str = "s") -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.3f} {unit} ({low:.3f} to {high:.3f})"


def latency(dagwire: Standalone, repeat: int) -> None:
    """Request → started → succeeded, one run at a time."""
    rows = []
    with dagwire.client() as client:
        for job in ("one_op", "chain", "chain_multiprocess"):
            started, succeeded = [], []
            for _ in range(repeat):
                run_id, asked = launch(client, job)
                at = moments(client, run_id)
                started.append((at["dagwire.run.started"] - asked).total_seconds())
                succeeded.append((at["dagwire.run.succeeded"] - asked).total_seconds())
            rows.append([job, spread(started), spread(succeeded)])
    table(f"Latency, median of {repeat} (min to max)", ["job", "request → started", "request → succeeded"], rows)


def throughput(dagwire: Standalone, repeat: int) -> None:
    """200 one-op runs requested at once."""
    runs = 200
    rows = []
    for _ in range(min(repeat, 3)):
        with dagwire.client() as client, memory_peak(dagwire) as peak:
            before, began = cpu_seconds(dagwire), time.monotonic()
            with ThreadPoolExecutor(10) as pool:
                run_ids = [run_id for run_id, _ in pool.map(lambda _: launch(client, "one_op"), range(runs))]
            wait_for_ends(dagwire, run_ids)
            seconds = time.monotonic() - began
            spent = cpu_seconds(dagwire) - before
        rows.append([f"{seconds:.1f} s", f"{runs / seconds:.1f}", f"{spent / runs:.3f} s", f"{peak() / MIB:.0f} MiB"])
    table(f"{runs} one-op runs at once", ["all ended after", "runs/s", "CPU per run (all parts)", "peak memory"], rows)


def logs(dagwire: Standalone, repeat: int) -> None:
    """20,000 log lines in one run: until the browser's feed and PostgreSQL have the last one."""
    rows = []
    with dagwire.client() as client:
        for _ in range(min(repeat, 3)):
            run_id, _ = launch(client, "lines")
            began = time.monotonic()
            count = 0
            for _, event in feed(client, run_id):
                count += event["type"] == "dagwire.log.written"
                if event["type"] == "dagwire.run.succeeded":
                    break
            shown = time.monotonic() - began
            wait_for_ends(dagwire, [run_id])
            rows.append([str(count), f"{shown:.2f} s", f"{time.monotonic() - began:.2f} s"])
    table("20,000 log lines in one run", ["lines", "request → all in the feed", "request → all stored"], rows)


def idle(dagwire: Standalone, repeat: int) -> None:
    """Memory and CPU of each process while nothing happens."""
    del repeat
    seconds = 20.0
    time.sleep(3)
    before = {process.pid: sum(process.cpu_times()[:2]) for process in processes(dagwire)}
    time.sleep(seconds)
    rows, total = [], 0
    for process in processes(dagwire):
        if process.pid in before:
            spent = (sum(process.cpu_times()[:2]) - before[process.pid]) / seconds
            memory = unique_memory(process)
            total += memory
            rows.append([name_of(process), f"{memory / MIB:.1f} MiB", f"{100 * spent:.2f} %"])
    rows.sort()
    rows.append(["all", f"{total / MIB:.1f} MiB", ""])
    table(f"Idle for {seconds:.0f} s", ["process", "memory (unique set)", "CPU"], rows)


def worker(dagwire: Standalone, repeat: int) -> None:
    """What a run worker pays before it can do anything."""
    del dagwire
    # VmHWM, as ru_maxrss would begin with the memory of the process that forked.
    measured = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    rows = []
    for name, code in (
        ("an empty Python", measured),
        ("import dagwire", f"import dagwire; {measured}"),
        ("until it claims its run", f"import dagwire.worker.__main__; {measured}"),
        ("until it can execute", f"import dagwire.worker.__main__, dagwire.worker.run, dagwire.execute; {measured}"),
    ):
        walls, memory = [], 0
        for _ in range(max(repeat, 5)):
            began = time.monotonic()
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            walls.append(time.monotonic() - began)
            memory = int(done.stdout)
        rows.append([name, spread(walls), f"{memory / 1024:.1f} MiB"])
    table("A run worker before it works", ["process", "wall", "peak memory"], rows)


def processes(dagwire: Standalone) -> list[psutil.Process]:
    root = psutil.Process(dagwire.pid)
    return [root, *root.children(recursive=True)]


def name_of(process: psutil.Process) -> str:
    words = process.cmdline()
    if "postgres" in process.name():
        return "postgres"
    if len(words) > 2 and words[1] == "-m":
        return " ".join(words[2:5]) if words[2] == "dagwire.cli" else words[2]
    return process.name()


def unique_memory(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().uss
    except psutil.Error:
        return 0


def cpu_seconds(dagwire: Standalone) -> float:
    """CPU seconds of every part and of every worker that has ended: the launcher reaps them."""
    total = 0.0
    for process in processes(dagwire):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return total


@contextmanager
def memory_peak(dagwire: Standalone) -> Iterator[Callable[[], int]]:
    peak, stop = 0, threading.Event()

    def sample() -> None:
        nonlocal peak
        while not stop.wait(0.5):
            peak = max(peak, sum(unique_memory(process) for process in processes(dagwire)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield lambda: peak
    finally:
        stop.set()
        thread.join()


def wait_for_ends(dagwire: Standalone, run_ids: list[str]) -> None:
    query = "SELECT count(*) FROM runs WHERE run_id = ANY(%s::uuid[]) AND ended_at IS NOT NULL"
    with psycopg.connect(dagwire.postgres_url, autocommit=True) as connection:
        while connection.execute(query, [run_ids]).fetchone() != (len(run_ids),):
            time.sleep(0.02)


PARTS = {"latency": latency, "throughput": throughput, "logs": logs, "idle": idle, "worker": worker}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; all if none is named")
    parser.add_argument("--repeat", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        dagwire = Standalone(Path(directory) / "data", "-f", str(REPO))
        dagwire.start()
        try:
            for name in options.parts or PARTS:
                PARTS[name](dagwire, options.repeat)
        finally:
            dagwire.stop()


if __name__ == "__main__":
    main()
