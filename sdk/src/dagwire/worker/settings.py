"""The run worker's settings and command line. Plain, since every run pays for what is imported here."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dagwire_shared.envelope import describe
from dagwire_shared.errors import SettingsError
from dagwire_shared.model import Model
from dagwire_shared.records import CodePointer
from pydantic import Field, ValidationError

PREFIX: Final = "DAGWIRE_WORKER_"


class Settings(Model):
    """What a run worker needs to know: environment variables that begin with ``DAGWIRE_WORKER_``.

    (Not a pydantic-settings class: its import alone costs 40 ms of CPU, in every run.)
    """

    nats_url: str = "nats://127.0.0.1:4222"
    """The NATS server, with the credential of run workers."""

    inbox_prefix: str = "_INBOX_worker"
    """Where answers are received: a credential of run workers allows nothing else."""

    storage_directory: Path = Path(".dagwire/storage")
    """Where the file-system IO manager keeps the outputs of steps."""

    spool_directory: Path = Path(".dagwire/spool")
    """Where events wait while the bus is away and the memory is full."""

    spool_limit_bytes: int = Field(default=1024 * 1024 * 1024, ge=0)
    """How much may wait there; then the run is held until the bus takes events."""

    finish_timeout_seconds: float = Field(default=6 * 3600, gt=0)
    """How long an ended run waits for the bus to take its last events, in seconds."""

    log_level: str = "INFO"
    """The least severe records of the worker itself that are written to its standard error."""


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: something is wrong; the message lists every fault.
    """
    fields = {name: f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    given = {name: environment[variable] for name, variable in fields.items() if variable in environment}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(f"wrong settings ({PREFIX}…): {describe(error)}") from error


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command line says."""

    launch_file: Path
    pointer: CodePointer


def read_arguments(arguments: Sequence[str]) -> Arguments:
    """Read the command line; a wrong one ends the process with exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m dagwire.worker", description="Run one job.", allow_abbrev=False)
    parser.add_argument("--launch", required=True, type=Path, metavar="FILE", help="the LaunchRun message")
    code = parser.add_mutually_exclusive_group(required=True)
    code.add_argument("-f", "--python-file", metavar="FILE", help="the code, as a file")
    code.add_argument("-m", "--module-name", metavar="NAME", help="the code, as a module")
    code.add_argument("--package-name", metavar="NAME", help="the code, as a package")
    parser.add_argument("-a", "--attribute", metavar="NAME", help="the one repository or job to serve")
    parser.add_argument("-d", "--working-directory", metavar="DIR", default=str(Path.cwd()), help="where imports start")
    given = parser.parse_args(arguments)
    pointer = CodePointer(
        python_file=given.python_file,
        module_name=given.module_name,
        package_name=given.package_name,
        attribute=given.attribute,
        working_directory=given.working_directory,
        executable=sys.executable,
    )
    return Arguments(given.launch, pointer)
