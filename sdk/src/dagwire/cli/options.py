"""Options that several commands share, and how a command reaches Dagit through them."""

import functools
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import click

from dagwire.cli.dagit import DEFAULT_URL, Dagit, connect
from dagwire.cli.tables import say

P = ParamSpec("P")
R = TypeVar("R")

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def with_dagit(command: Callable[Concatenate[Dagit, P], R]) -> Callable[P, R]:
    """Give a command ``--url`` and, as its first argument, a client for that Dagit."""

    @click.option(
        "--url",
        envvar="DAGWIRE_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="Dagit's address.",
    )
    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with connect(str(kwargs.pop("url"))) as dagit:
            return command(dagit, *args, **kwargs)

    return wrapped


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command ``--json``."""
    decorate = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, as Dagit's API answers.")
    return decorate(command)


def place_options(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command ``--location`` and ``--repository``."""
    for decorate in (
        click.option("-r", "--repository", metavar="NAME", help="Only in this repository."),
        click.option("-l", "--location", metavar="NAME", help="Only in this code location."),
    ):
        command = decorate(command)
    return command


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


class Duration(click.ParamType[timedelta]):
    """A length of time: ``90``, ``90s``, ``15m``, ``2h``, ``1d``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length, or fail with how it is written."""
        if isinstance(value, timedelta):
            return value
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no length of time: write it like 90s, 15m or 2h", param, ctx)
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2] or ""])
