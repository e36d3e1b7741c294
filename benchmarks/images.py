"""How large the images are, and what their bytecode saves: `make images` first. Prints the tables of ADR 0013.

Needs docker with buildx. The images of single services are built for the comparison, and removed again.
"""

import json
import os
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAG = os.environ.get("TAG", "0.1.0")
BASE = "python:3.13-slim-bookworm"
SERVICES = ("dagit", "scheduler", "launcher", "eventstore")
OURS = ("dagwire/dagwire", "dagwire/user-code", "dagwire/example-weather")
WORKER = "import dagwire.worker.__main__, dagwire.worker.run, dagwire; dagwire.job"
STRIPPED = {
    "all bytecode": "true",
    "none of Python's own library": "find /usr/local/lib -name '*.pyc' -not -path '*site-packages*' -delete",
    "none": "find /usr/local -name '*.pyc' -delete",
}
READ_ONLY = ("run", "--rm", "--read-only", "--tmpfs", "/tmp")  # noqa: S108 -- the container's own
TIMES = """
import resource, subprocess, sys
found = []
for _ in range(7):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *sys.argv[1:]])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
print(min(found))
"""


def docker(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=text, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def megabytes(image: str) -> tuple[float, float]:
    """Its size, and that of its layers compressed by the fastest gzip."""
    size = json.loads(docker("image", "inspect", image))[0]["Size"]
    packer, packed = zlib.compressobj(1, wbits=31), 0
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        while block := saving.stdout.read(1 << 20):
            packed += len(packer.compress(block))
    return size / 1e6, (packed + len(packer.flush())) / 1e6


@contextmanager
def built(name: str, *arguments: str, text: str | None = None) -> Iterator[str]:
    image = f"dagwire-measured/{name}:1"
    network = os.environ.get("DAGWIRE_BUILD_NETWORK", "default")
    docker("buildx", "build", "--quiet", "--load", "--network", network, "--tag", image, *arguments, text=text)
    try:
        yield image
    finally:
        docker("image", "rm", "--force", image)


def sizes() -> None:
    print("| image | MB | MB compressed | beside the base |\n|---|---|---|---|")
    _, base = megabytes(BASE)

    def row(name: str, image: str) -> None:
        whole, packed = megabytes(image)
        print(f"| {name} | {whole:.0f} | {packed:.0f} | {packed - base:.0f} |", flush=True)

    row("the base", BASE)
    for service in SERVICES:
        only = ("--target", "services", "--build-arg", f"SERVICES=dagwire-{service}")
        with built(service, "--file", "deploy/docker/Dockerfile", *only, ".") as image:
            row(service, image)
    for name in OURS:
        row(name, f"{name}:{TAG}")


def bytecode() -> None:
    print("\n| bytecode | CPU of a worker's imports, s |\n|---|---|")
    for number, (what, strip) in enumerate(STRIPPED.items()):
        lines = f"FROM dagwire/user-code:{TAG}\nUSER 0\nRUN {strip}\nUSER 1000\n"
        with built(f"bytecode-{number}", "-", text=lines) as image:
            seconds = float(docker(*READ_ONLY, image, "python3", "-c", TIMES, "-c", WORKER))
            print(f"| {what} | {seconds:.2f} |", flush=True)


def health() -> None:
    check = (*READ_ONLY, f"dagwire/dagwire:{TAG}", "python3", "-c", TIMES)
    script = float(docker(*check, "-IS", "/usr/local/lib/dagwire/healthcheck.py"))
    nothing = float(docker(*check, "-IS", "-c", "pass"))
    print(f"\nA service's health check: {script * 1000:.0f} ms of CPU (an empty Python: {nothing * 1000:.0f} ms).")


if __name__ == "__main__":
    sizes()
    bytecode()
    health()
