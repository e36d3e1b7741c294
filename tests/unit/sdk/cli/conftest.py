"""A command line and a Dagit for it: the contract's answers on a real local port."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from dagwire.cli import cli
from dagwire.cli.exits import ExitCode
from support.fakedagit import FakeDagit, serving


@pytest.fixture(scope="session")
def _served() -> Iterator[FakeDagit]:
    with serving(FakeDagit()) as fake:
        yield fake


@pytest.fixture
def dagit(_served: FakeDagit) -> FakeDagit:
    """A Dagit that answers."""
    _served.reset()
    return _served


@dataclass
class Outcome:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


class Command:
    """Runs commands against one Dagit."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Outcome:
        given = {"DAGWIRE_URL": self.url, **(env or {})}
        result: Result = CliRunner().invoke(cli, list(arguments), input=stdin, env=given, prog_name="dagwire")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, click.unstyle(result.stderr))


@pytest.fixture
def command(dagit: FakeDagit) -> Command:
    """Run a command against the fake."""
    return Command(dagit.url)


@pytest.fixture
def nowhere() -> Command:
    """Run a command where no Dagit answers."""
    return Command("http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ.pop("NO_COLOR", None)
    monkeypatch.setattr("dagwire.cli.dagit._RETRY_SECONDS", 1.5)


__all__ = ["ExitCode", "Outcome"]
