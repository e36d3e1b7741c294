"""Builds the command line and the environment of a run worker. No I/O."""

import base64
import zlib
from collections.abc import Iterator, Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Final

from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.records import CodePointer

_OURS: Final = "DAGWIRE_"
_WORKERS: Final = "DAGWIRE_WORKER_"
_LAUNCH: Final = f"{_WORKERS}LAUNCH"

_WORKER: Final = ("-P", "-m", "dagwire.worker")
"""``-P``: a file of the user's that is named like a module of the library cannot shadow it while the worker starts."""

_LARGEST_VARIABLE: Final = 96 * 1024
"""In bytes. Linux takes 128 KiB for one variable with its name."""


def command_line(pointer: CodePointer, launch_file: Path) -> list[str]:
    """Return the command that starts a run worker of this machine with the location's own Python."""
    return [pointer.executable, *_WORKER, "--launch", str(launch_file), *_pointer(pointer)]


def container_command(pointer: CodePointer) -> list[str]:
    """Return the command of a run worker in a container, which finds its launch message in its environment."""
    return [pointer.executable, *_WORKER, *_pointer(pointer)]


def for_step(command: list[str], step_key: str, attempt: int) -> list[str]:
    """Return the command of a worker of one step of the run, from that of the run's own worker."""
    return [*command, "--step", step_key, "--attempt", str(attempt)]


def launch_environment(message: bytes) -> dict[str, str]:
    """Return the environment variables that hold a launch message: base64 of zlib, as many as are needed.

    A request has 256 KiB at most (``admission.LARGEST_REQUEST``), so all of them fit a process's arguments.
    """
    text = base64.b64encode(zlib.compress(message)).decode("ascii")
    parts = (text[start : start + _LARGEST_VARIABLE] for start in range(0, len(text), _LARGEST_VARIABLE))
    return {f"{_LAUNCH}_{number}" if number else _LAUNCH: part for number, part in enumerate(parts)}


def unpack_launch(environment: Mapping[str, str]) -> bytes:
    """Return the launch message that ``launch_environment`` packed.

    Raises:
        MalformedMessageError: there is none, or it is damaged.
    """
    names = (f"{_LAUNCH}_{number}" if number else _LAUNCH for number in count())
    text = "".join(environment[name] for name in takewhile(environment.__contains__, names))
    try:
        return zlib.decompress(base64.b64decode(text, validate=True))
    except (ValueError, zlib.error) as error:
        raise MalformedMessageError(f"{_LAUNCH} cannot be unpacked: {error}") from error


def _pointer(pointer: CodePointer) -> Iterator[str]:
    for option, value in (
        ("-f", pointer.python_file),
        ("-m", pointer.module_name),
        ("--package-name", pointer.package_name),
        ("-a", pointer.attribute),
        ("-d", pointer.working_directory),
    ):
        if value is not None:
            yield from (option, value)


def environment(inherited: Mapping[str, str], *, credential: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Return the environment of a worker of this machine: the launcher's, without what is the services' own.

    Args:
        inherited: the launcher's own environment.
        credential: the variables that let the run's worker onto the bus.
        directory: the run's directory, where the worker may spool and keep outputs unless its settings say where.
    """
    mine = {key: value for key, value in inherited.items() if not key.startswith(_OURS) or key.startswith(_WORKERS)}
    defaults = {
        f"{_WORKERS}STORAGE_DIRECTORY": str(directory / "storage"),
        f"{_WORKERS}SPOOL_DIRECTORY": str(directory / "spool"),
    }
    return {**defaults, **mine, **credential}
