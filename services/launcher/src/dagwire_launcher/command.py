"""Builds the command line and the environment of a run worker on this machine. No I/O."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dagwire_shared.records import CodePointer

_OURS: Final = "DAGWIRE_"
_WORKERS: Final = "DAGWIRE_WORKER_"


def command_line(pointer: CodePointer, launch_file: Path) -> list[str]:
    """Return the command that starts a run worker with the location's own Python.

    ``-P``: a file of the user's that is named like a module of the library cannot shadow it while the worker starts.
    """
    return [pointer.executable, "-P", "-m", "dagwire.worker", "--launch", str(launch_file), *_pointer(pointer)]


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
    """Return a worker's environment: the launcher's, without the settings and credentials of the services.

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
