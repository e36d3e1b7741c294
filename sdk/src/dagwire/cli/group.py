"""The root of the command line: which commands there are, and what becomes of their errors. No command's own work."""

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, NoReturn

import click

from dagwire.cli.exits import CommandError, ExitCode
from dagwire.reaper import stand_apart

ENTRY_POINTS: Final = "dagwire.commands"
"""The entry-point group through which other distributions add commands: each one names a click command."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is imported when it is called."""

    target: str
    """``module:attribute``."""
    summary: str
    needs: str | None = None
    """What to install when the import fails for want of a library."""


_OWN: Final[Mapping[str, Lazy]] = {
    "api": Lazy("dagwire.cli.api:api", "Serve user code over gRPC, and check such a server."),
    "code-server": Lazy("dagwire.cli.api:code_server", "Serve user code over gRPC, and load it again when it changes."),
    "job": Lazy("dagwire.cli.job:job", "List jobs, look at one, launch one.", "dagwire[cli]"),
    "run": Lazy("dagwire.cli.run:run", "List runs, look at one, follow its log, cancel it.", "dagwire[cli]"),
    "schedule": Lazy(
        "dagwire.cli.schedule:schedule", "List schedules, switch them, see their next ticks.", "dagwire[cli]"
    ),
}

_SERVERS: Final = {("api", "grpc"), ("code-server", "start")}
"""Commands that run user code, and are the first process of their container."""

_OF_OTHERS: Final[Mapping[str, Lazy]] = {
    "up": Lazy("", "Start every part of Dagwire on this machine.", "dagwire-standalone"),
}
"""Commands of other distributions that people look for here, whether or not they are installed."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; help shows their summaries without that."""

    lazy: Mapping[str, Lazy] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return every command's name."""
        return sorted(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's
        """Import a command.

        Raises:
            CommandError: its distribution is not installed, or is broken.
        """
        own = self.lazy.get(cmd_name)
        return None if own is None else _import(cmd_name, own.target, own.needs)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing those whose summary is known."""
        rows = [(name, self.summary(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def summary(self, ctx: click.Context, name: str) -> str:
        """Return what a command does, in a few words."""
        known = self.lazy.get(name)
        if known is not None:
            return known.summary
        try:
            command = self.get_command(ctx, name)
        except CommandError as error:
            return f"(not usable: {error.message})"
        return "" if command is None else command.get_short_help_str(80)


class Commands(LazyGroup):
    """The root: Dagwire's own commands, and those that other distributions add by entry points."""

    lazy = _OWN

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command's name."""
        points = (point.name for point in entry_points(group=ENTRY_POINTS))
        return sorted({*super().list_commands(ctx), *_OF_OTHERS, *points})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, of whichever distribution.

        Raises:
            CommandError: its distribution is not installed, or is broken.
        """
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for point in entry_points(group=ENTRY_POINTS, name=cmd_name):
            return _import(cmd_name, point.value, _distribution(point))
        missing = _OF_OTHERS.get(cmd_name)
        if missing is not None:
            raise CommandError(
                f"`dagwire {cmd_name}` comes with another distribution: pip install {missing.needs}", ExitCode.USAGE
            )
        return None

    def summary(self, ctx: click.Context, name: str) -> str:
        """Return what a command does, in a few words."""
        known = _OF_OTHERS.get(name)
        return super().summary(ctx, name) if known is None else known.summary


def _import(name: str, target: str, needs: str | None) -> click.Command:
    module, _, attribute = target.partition(":")
    try:
        command = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise CommandError(
            f"`dagwire {name}` needs the library {error.name!r}" + (f": pip install '{needs}'" if needs else ""),
            ExitCode.USAGE,
        ) from error
    except AttributeError as error:
        raise CommandError(f"`dagwire {name}` is broken: {error}", ExitCode.INTERNAL) from error
    if not isinstance(command, click.Command):
        raise CommandError(f"`dagwire {name}` is broken: {target} is no click command", ExitCode.INTERNAL)
    return command


def _distribution(point: EntryPoint) -> str | None:
    return point.dist.name if point.dist is not None else None


@click.group(cls=Commands, no_args_is_help=True)
@click.version_option(package_name="dagwire", prog_name="dagwire")
def cli() -> None:
    """Dagwire: write ops, jobs and schedules in Python; run them anywhere.

    `job`, `run` and `schedule` talk to a running Dagit (--url, or DAGWIRE_URL).
    """


def main() -> NoReturn:
    """Run the command line, and end the process with its exit code."""
    if tuple(sys.argv[1:3]) in _SERVERS:
        stand_apart()
    sys.exit(_run())


def _run() -> int:
    try:
        code = cli.main(prog_name="dagwire", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- the outermost boundary: a person reads what happened
        return _internal(error)
    return code if isinstance(code, int) else ExitCode.OK


def _internal(error: Exception) -> int:
    if os.environ.get("DAGWIRE_DEBUG"):
        raise error
    text = f"this is a fault of Dagwire's own: {type(error).__name__}: {error} (DAGWIRE_DEBUG=1 shows the trace)"
    CommandError(text, ExitCode.INTERNAL).show()
    return ExitCode.INTERNAL
