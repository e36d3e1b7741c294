"""The run worker's command line, and what its launch message holds. Reads; decides nothing."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dagwire_shared.commands import LaunchRun
from dagwire_shared.envelope import decode
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.records import CodePointer

from dagwire.worker.launch import VARIABLE


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command line says."""

    launch_file: Path | None
    """None: the message is in the environment."""
    pointer: CodePointer


def read_arguments(arguments: Sequence[str]) -> Arguments:
    """Read the command line; a wrong one ends the process with exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m dagwire.worker", description="Run one job.", allow_abbrev=False)
    parser.add_argument(
        "--launch", type=Path, metavar="FILE", help=f"the LaunchRun message; default: the environment's {VARIABLE}"
    )
    parser.add_argument("--step", metavar="KEY", help="execute this one step of the run, for its run worker")
    parser.add_argument("--attempt", type=int, default=1, metavar="N", help="the step's worker counts so many")
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


@dataclass(frozen=True, slots=True)
class Launch:
    """What the launch message holds."""

    order: LaunchRun
    traceparent: str | None


def read_launch(message: bytes) -> Launch:
    """Read a launch message.

    Raises:
        MalformedMessageError: it is no ``LaunchRun`` message.
    """
    envelope = decode(message)
    command = envelope.command
    if not isinstance(command, LaunchRun):
        raise MalformedMessageError(f"the launch message is a {envelope.type}, not a {LaunchRun.TYPE}")
    return Launch(command, envelope.traceparent)
