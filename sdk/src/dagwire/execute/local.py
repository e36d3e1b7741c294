"""Runs a job in the caller's process, for tests and notebooks: no files, no server, values kept."""

import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dagwire_shared.events import Event

from dagwire.config.model import AnyRunConfig
from dagwire.context import RunInfo
from dagwire.execute.environment import Environment, Job
from dagwire.execute.progress import Outcome
from dagwire.execute.result import ExecuteInProcessResult
from dagwire.execute.run import guarded, prepare
from dagwire.execute.serial import run_serially
from dagwire.execute.streams import captured_text
from dagwire.plan import outputs_of


def run_in_process(
    job: Job, run_config: AnyRunConfig, *, run_id: str | None, tags: Mapping[str, str], raise_on_error: bool
) -> ExecuteInProcessResult:
    """Run a job here and now and return what it did.

    Raises:
        BaseException: what the first failing step raised, or what the run could not begin with.
    """
    run = RunInfo(run_id or str(uuid.uuid4()), job.name, tags=dict(tags))
    events: list[Event] = []
    values: dict[tuple[str, str], Any] = {}
    errors: list[BaseException] = []

    def keep(step: str, output: str, value: Any) -> None:
        values[step, output] = value

    def engine(environment: Environment) -> Mapping[str, Outcome]:
        return run_serially(replace(environment, keep=keep), captured_text, errors.append)

    with tempfile.TemporaryDirectory(prefix="dagwire-", ignore_cleanup_errors=True) as directory:

        def preparing() -> Environment:
            return prepare(job, run, run_config, None, events.append, Path(directory))

        events.append(guarded(preparing, engine, errors.append))
    if raise_on_error and errors:
        raise errors[0]
    return ExecuteInProcessResult(
        run.run_id,
        job.name,
        events,
        values,
        {name: (source.step, source.output) for name, source in outputs_of(job.graph).items()},
    )
