"""A real `docker compose up` of the repository's own file, under a project name and a port of its own."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from dagwire_launcher.docker.container import INSTANCE
from dagwire_standalone.ports import free
from support import docker

ROOT = Path(__file__).parents[2]
IMAGES = ("dagwire/dagwire", "dagwire/user-code", "dagwire/example-weather")


def tag() -> str:
    """Which images are tested."""
    return os.environ.get("DAGWIRE_TAG", "0.1.0")


def missing() -> str | None:
    """What these tests lack, or None."""
    if (lack := docker.missing()) is not None:
        return lack
    for image in (f"{name}:{tag()}" for name in IMAGES):
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode != 0:
            return f"these tests need the image {image}: run `make images`"
    return None


class Compose:
    """One installation."""

    def __init__(self) -> None:
        self.project = f"dagwire-test-{uuid4().hex[:8]}"
        self.port = free("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"

    def __call__(self, *arguments: str) -> str:
        """Run a `docker compose` command, and return what it printed."""
        environment = {**os.environ, "DAGWIRE_PORT": str(self.port), "DOCKER_HOST": docker.address()}
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, "--progress", "plain", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}:\n{done.stderr}\n{self._logs(arguments)}"
        return done.stdout

    def _logs(self, arguments: tuple[str, ...]) -> str:
        return "" if "logs" in arguments else self("logs", "--tail", "20")

    def up(self) -> None:
        """Start it, and return when it is healthy."""
        self("up", "--detach", "--wait", "--wait-timeout", "120", "--no-build")

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine shows of each service's container."""
        names = self("ps", "--all", "--quiet").split()
        found = inspect(*names)
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def runs(self) -> list[dict[str, Any]]:
        """What the engine shows of each run's container."""
        return inspect(*engine("ps", "--all", "--quiet", "--filter", f"label={INSTANCE}={self.project}").split())

    def client(self) -> httpx.Client:
        """A client of its Dagit."""
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def remove(self) -> None:
        """Leave nothing."""
        for run in self.runs():
            engine("rm", "--force", "--volumes", run["Id"])
        self("down", "--volumes", "--timeout", "5")


def engine(*arguments: str) -> str:
    """Run a `docker` command, and return what it printed."""
    environment = {**os.environ, "DOCKER_HOST": docker.address()}
    done = subprocess.run(["docker", *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}:\n{done.stderr}"
    return done.stdout


def inspect(*names: str) -> list[dict[str, Any]]:
    """What the engine shows of containers."""
    found: list[dict[str, Any]] = json.loads(engine("inspect", *names)) if names else []
    return found


@contextlib.contextmanager
def compose() -> Iterator[Compose]:
    """An installation that is gone at the end."""
    installation = Compose()
    try:
        installation.up()
        yield installation
    finally:
        installation.remove()
