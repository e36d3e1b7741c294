"""Decides what a run's container looks like: its name, its labels, and what the engine is told to create. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dagwire_shared.ids import RunId, check_run_id
from dagwire_shared.records import CodePointer

from dagwire_launcher.command import container_command, launch_environment
from dagwire_launcher.docker.config import DockerConfig, memory_bytes

RUN_ID: Final = "dagwire/run-id"
INSTANCE: Final = "dagwire/instance"
JOB: Final = "dagwire/job"
LOCATION: Final = "dagwire/code-location"

_PREFIX: Final = "dagwire-run-"
_NANO: Final = 1_000_000_000
_PLACES: Final = {
    "DAGWIRE_WORKER_STORAGE_DIRECTORY": "/tmp/dagwire/storage",  # noqa: S108 -- the container's own
    "DAGWIRE_WORKER_SPOOL_DIRECTORY": "/tmp/dagwire/spool",  # noqa: S108
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What is the same for all run containers of this launcher."""

    instance: str
    """Several launchers of one name share their containers; those of another name are not theirs."""
    network: str
    """The network that reaches the bus."""
    config: DockerConfig
    log_bytes: int
    """What is kept of a container's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContainer:
    """What is one run's own."""

    run_id: RunId
    job: str
    location: str
    image: str
    pointer: CodePointer
    message: bytes
    """The launch message."""
    credential: Mapping[str, str]


def container_name(run_id: RunId) -> str:
    """Return the name of a run's container: there can be one of it."""
    return f"{_PREFIX}{check_run_id(run_id)}"


def creation(run: RunContainer, blueprint: Blueprint) -> dict[str, Any]:
    """Return what the engine is asked to create, in the words of its API."""
    command = container_command(run.pointer)
    environment = {
        **_PLACES,
        **blueprint.config.environment,
        **launch_environment(run.message),
        **run.credential,
    }
    return {
        "Image": run.image,
        # In place of the image's own entry point, as Kubernetes' `command` is.
        "Entrypoint": command[:1],
        "Cmd": command[1:],
        "WorkingDir": run.pointer.working_directory,
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "User": blueprint.config.user,
        "Labels": {RUN_ID: run.run_id, INSTANCE: blueprint.instance, JOB: run.job, LOCATION: run.location},
        # The image's own asks for a code server.
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "HostConfig": _host_config(blueprint),
    }


def _host_config(blueprint: Blueprint) -> dict[str, Any]:
    config = blueprint.config
    found: dict[str, Any] = {
        "NetworkMode": blueprint.network,
        # A process 1 that passes signals on, and waits for orphans.
        "Init": True,
        "RestartPolicy": {"Name": "no"},
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Binds": config.volumes,
        "ReadonlyRootfs": config.read_only,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": str(blueprint.log_bytes), "max-file": "2"}},
    }
    if config.read_only:
        found["Tmpfs"] = {"/tmp": "rw,nosuid,nodev,mode=1777"}  # noqa: S108
    if config.memory is not None:
        found["Memory"] = memory_bytes(config.memory)
        # The same figure: no swap beside it.
        found["MemorySwap"] = found["Memory"]
    if config.cpus is not None:
        found["NanoCpus"] = int(config.cpus * _NANO)
    if config.pids is not None:
        found["PidsLimit"] = config.pids
    return found
