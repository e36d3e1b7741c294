"""What the operator lays down for every run's container. Reads the section ``docker`` of the run-config file."""

import re
from pathlib import Path
from typing import Annotated, Final

from dagwire_shared.errors import SettingsError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from dagwire_launcher.runconfig import read_section

_UNITS: Final = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_LEAST_MEMORY: Final = 6 * 2**20
"""The engine takes no limit below this."""


def memory_bytes(text: str) -> int:
    """Return the bytes that ``512m`` or ``2g`` stands for.

    Raises:
        ValueError: it is no such figure, or less than the engine takes.
    """
    match = re.fullmatch(r"(\d+)\s*([bkmg]?)b?", text.strip().lower())
    if match is None:
        raise ValueError("is no amount of memory: write it as 512m or 2g")
    amount = int(match[1]) * _UNITS[match[2]]
    if amount < _LEAST_MEMORY:
        raise ValueError("is less than 6m, the least that Docker takes")
    return amount


def _check_memory(text: str) -> str:
    memory_bytes(text)
    return text


def _check_volume(text: str) -> str:
    if re.fullmatch(r"(/[^:]*|[A-Za-z0-9][\w.-]+):/[^:]*(:\w+(,\w+)*)?", text) is None:
        raise ValueError("is no mount: write it as name:/path, or /on/the/host:/path, with :ro behind it if need be")
    return text


class DockerConfig(BaseModel):
    """How run containers are made."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    environment: dict[str, str] = Field(default_factory=dict)
    """Variables that every run worker gets."""

    volumes: list[Annotated[str, AfterValidator(_check_volume)]] = Field(default_factory=list)
    """What is mounted, as in compose: ``name:/path`` or ``/on/the/host:/path:ro``."""

    memory: Annotated[str, AfterValidator(_check_memory)] | None = None
    """The limit of a run, as ``512m`` or ``2g``; beyond it the kernel ends the run. Unset: the machine's memory."""

    cpus: float | None = Field(default=None, gt=0)
    """How many processors a run may use, as 1.5. Unset: all."""

    pids: int | None = Field(default=None, gt=0)
    """How many processes and threads a run may have. Unset: the engine's own limit."""

    user: str = "1000:1000"
    """Whom the worker runs as: ``uid:gid``."""

    read_only: bool = False
    """Whether the container's own files cannot be written; then ``/tmp`` is in memory."""


def read_docker_config(path: Path | None) -> DockerConfig:
    """Read the section ``docker`` of a run-config file; no file and no section: the defaults.

    Raises:
        SettingsError: the file cannot be read or says what cannot be; the message names it.
    """
    section = read_section(path, "docker")
    try:
        return DockerConfig.model_validate(section)
    except ValidationError as error:
        faults = [f"  docker.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("\n".join([f"the run config {path} is wrong:", *faults])) from error
