"""How a command ends: its exit codes, and the error that carries one. Part of the public interface."""

import os
import sys
from enum import IntEnum
from typing import IO, Any

import click


class ExitCode(IntEnum):
    """What scripts can rely on."""

    OK = 0
    """It was done."""
    RUN_FAILED = 1
    """The run that was waited for failed; or a health check says: not serving."""
    USAGE = 2
    """The command line is wrong: an unknown option, a missing argument, an unreadable config."""
    RUN_CANCELED = 3
    """The run that was waited for was cancelled."""
    REFUSED = 4
    """The server refused it: a config that does not fit the job, a run that has ended."""
    UNREACHABLE = 5
    """The server could not be reached, or it lost touch with a part that it needs."""
    NOT_FOUND = 6
    """There is no such job, run or schedule."""
    NOT_STARTED = 7
    """A server could not start: its port is in use, or not allowed."""
    TIMED_OUT = 8
    """The time of `--timeout` was over before the run ended; the run goes on."""
    INTERNAL = 70
    """A fault of Dagwire's own."""
    INTERRUPTED = 130
    """Ctrl-C."""


class CommandError(click.ClickException):
    """A command cannot do what was asked: one clear sentence, and an exit code."""

    def __init__(self, message: str, code: ExitCode, *, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.exit_code: int = code  # type: ignore[misc]  # click declares a class variable, and reads the instance
        self.details = details
        """Further lines, one fault each."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, and the details below it, on stderr."""
        stream = file if file is not None else sys.stderr
        colour = False if os.environ.get("NO_COLOR") else None  # None: where the stream is a terminal
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {self.format_message()}", file=stream, color=colour)
        for detail in self.details:
            click.echo(f"  {detail}", file=stream)
