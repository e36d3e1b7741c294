"""How many run containers a Docker engine makes per second, and how soon their ends are known."""

import asyncio
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.docker.backend import DockerBackend, DockerSettings
from dagwire_launcher.docker.config import DockerConfig
from dagwire_launcher.docker.container import Blueprint
from support.docker import Place, address, place

RUNS = 20
AT_ONCE = (1, 4, 8)


async def measure(backend: DockerBackend, here: Place, at_once: int) -> None:
    gate = asyncio.Semaphore(at_once)
    keys = [f"{at_once}-{number}" for number in range(RUNS)]

    async def create(key: str) -> None:
        async with gate:
            await backend.create(here.order("exit 0", key=key))

    begin = time.monotonic()
    await asyncio.gather(*(create(key) for key in keys))
    made = time.monotonic() - begin
    await asyncio.gather(*(backend.end_of(here.run_id(key)) for key in keys))
    known = time.monotonic() - begin
    print(f"| {at_once} | {RUNS / made:.1f} | {made / RUNS * at_once:.2f} | {known:.1f} |", flush=True)


async def main() -> None:
    print(f"{RUNS} containers that end at once\n")
    print("| at once | per second | s each | s until all ends are known |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        async with place(Path(folder) / "test") as here:
            blueprint = Blueprint(
                instance=here.instance,
                network="bridge",
                config=DockerConfig(volumes=[f"{here.folder}:/test:ro"]),
                log_bytes=100_000,
            )
            settings = DockerSettings(
                blueprint=blueprint,
                credentials=WorkerCredentials("s" * 40, "nats://h"),
                address=address(),
                keep_runs=1000,
                keep_for=timedelta(days=1),
            )
            backend = DockerBackend(settings)
            async with backend.open():
                for at_once in AT_ONCE:
                    await measure(backend, here, at_once)


if __name__ == "__main__":
    asyncio.run(main())
