"""What a run and its step processes say to each other: pickled, over a socket that only they hold.

Run → process: one ``RunCall``, then ``Assignment`` after ``Assignment``. Process → run: events, and ``Done``
after each assignment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dagwire_shared.records import CodePointer

from dagwire.config.model import RunConfigDict
from dagwire.context import RunInfo


@dataclass(frozen=True)
class RunCall:
    """What a step process is told first: where the code is, and with what it runs."""

    pointer: CodePointer
    run: RunInfo
    run_config: RunConfigDict
    preset: str | None
    storage_directory: Path


@dataclass(frozen=True)
class Assignment:
    """A step to be executed."""

    step_key: str
    produced: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The outputs that exist, by step."""


@dataclass(frozen=True)
class Done:
    """The step has ended, and all its events were sent before."""
