"""Runs a job: the seam between the run worker and the engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagwire_shared.events import Event, RunCanceled, RunFailed, RunSucceeded
from dagwire_shared.records import CodePointer

from dagwire.context import RunInfo


def execute_run(
    job: Any,
    *,
    run: RunInfo,
    run_config: dict[str, Any],
    preset: str | None,
    emit: Callable[[Event], None],
    storage_directory: Path,
    pointer: CodePointer | None,
) -> RunSucceeded | RunFailed | RunCanceled:
    """Run a job in the calling thread and return how it ended."""
    raise NotImplementedError
