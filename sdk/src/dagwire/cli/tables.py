"""Aligned text for a terminal: tables, key-value blocks, colours. Decides no content."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import click

_GAP: Final = "  "
_STATUS_COLOURS: Final[Mapping[str, str]] = {
    "SUCCESS": "green",
    "RUNNING": "green",
    "LOADED": "green",
    "REQUESTED": "green",
    "FAILURE": "red",
    "FAILED": "red",
    "ERROR": "red",
    "CRITICAL": "red",
    "WARNING": "yellow",
    "CANCELED": "yellow",
    "CANCELING": "yellow",
    "STARTED": "blue",
    "STARTING": "blue",
    "QUEUED": "cyan",
    "SKIPPED": "bright_black",
    "STOPPED": "bright_black",
    "PENDING": "bright_black",
    "DEBUG": "bright_black",
}


def say(text: str = "") -> None:
    """Print a line of what was asked for, on stdout.

    Raises:
        click.exceptions.Exit: the reader of the output has seen enough, as ``head`` does.
    """
    try:
        click.echo(text, color=_coloured(sys.stdout.isatty()))
    except BrokenPipeError:
        # What is buffered still must go somewhere when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


def note(text: str) -> None:
    """Print progress or a remark, on stderr."""
    click.echo(text, err=True, color=_coloured(sys.stderr.isatty()))


def _coloured(tty: bool) -> bool:  # noqa: FBT001 -- a question with one answer
    return tty and not os.environ.get("NO_COLOR")


def bold(text: str) -> str:
    """Return the text in bold."""
    return click.style(text, bold=True)


def faint(text: str) -> str:
    """Return the text in grey."""
    return click.style(text, fg="bright_black")


def status(word: str) -> str:
    """Return a status or a log level in its colour."""
    colour = _STATUS_COLOURS.get(word)
    return word if colour is None else click.style(word, fg=colour)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows below their heads, each column as wide as it must be; the last one is cut at a terminal's edge.

    A column in which every row is empty is left out.
    """
    shown = [index for index in range(len(heads)) if any(row[index] for row in rows)]
    lines = [[bold(heads[index]) for index in shown], *([_cell(row[index]) for index in shown] for row in rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(shown))]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return "\n".join(_line(line, widths, limit) for line in lines)


def _cell(text: str) -> str:
    """Return the first paragraph on one line."""
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def _line(cells: Sequence[str], widths: Sequence[int], limit: int | None) -> str:
    *first, last = cells
    text = "".join(cell + " " * (width - _width(cell)) + _GAP for cell, width in zip(first, widths, strict=False))
    if limit is not None:
        last = _cut(last, limit - _width(text))
    return (text + last).rstrip()


def block(pairs: Sequence[tuple[str, str]]) -> str:
    """Return names and values, aligned; pairs without a value are left out."""
    kept = [(name, value) for name, value in pairs if value]
    width = max((_width(name) for name, _ in kept), default=0)
    return "\n".join(f"{faint(name)}{' ' * (width - _width(name))}{_GAP}{value}" for name, value in kept)


def indent(text: str, by: int = 2) -> str:
    """Return the text with each line moved to the right."""
    return "\n".join(" " * by + line if line else line for line in text.splitlines())


def _width(text: str) -> int:
    """Return how many columns a terminal needs: wide characters count twice, colours not at all."""
    plain = click.unstyle(text)
    if plain.isascii():
        return len(plain)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in plain
    )


def _cut(text: str, width: int) -> str:
    if _width(text) <= max(width, 8):
        return text
    plain = click.unstyle(text)
    return plain[: max(width, 8) - 1] + "…"
