"""Runs a job from its definition to its end: the seam between the run worker and the engine."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dagwire_shared.events import Event, FailureCause, RunCanceled, RunFailed, RunPlanned, RunSucceeded
from dagwire_shared.records import CodePointer

from dagwire.config.model import AnyRunConfig
from dagwire.context import RunInfo
from dagwire.errors import ExecutionError, error_info
from dagwire.execute.cancellation import RunCancellation
from dagwire.execute.environment import Emit, Environment, Job
from dagwire.execute.progress import Outcome
from dagwire.execute.serial import run_serially
from dagwire.execute.streams import captured_descriptors

if TYPE_CHECKING:
    from dagwire.execute.stepworker import Crew

Ended = RunSucceeded | RunFailed | RunCanceled
Engine = Callable[[Environment], Mapping[str, Outcome]]

_NAMED_STEPS = 5


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What an executor needs whose steps run outside of the run's own process."""

    pointer: CodePointer | None = None
    """Where the job's code is found, for step processes."""
    pods: "Crew | None" = None
    """Makes step workers that the launcher creates: pods."""


def execute_run(
    job: Job,
    *,
    run: RunInfo,
    run_config: AnyRunConfig,
    preset: str | None,
    emit: Emit,
    storage_directory: Path,
    elsewhere: Elsewhere,
) -> Ended:
    """Run a job in the calling thread, which is the main thread, and return how it ended.

    Args:
        job: the job.
        run: the run that this is.
        run_config: laid over the preset's and the job's own.
        preset: the preset to start from.
        emit: is told every event but the run's start and end; from any thread.
        storage_directory: where the file-system IO manager keeps outputs.
        elsewhere: for executors whose steps run outside of this process.
    """

    def engine(environment: Environment) -> Mapping[str, Outcome]:
        match job.executor_def.name:
            case "in_process":
                return run_serially(environment, captured_descriptors)
            case "multiprocess":
                return _in_processes(environment, elsewhere.pointer, run_config, preset)
            case "kubernetes":
                return _in_pods(environment, elsewhere.pods)

    return guarded(lambda: prepare(job, run, run_config, preset, emit, storage_directory), engine)


# Imported where they are needed: a run in one process pays for none of this.


def _in_processes(
    environment: Environment, pointer: CodePointer | None, run_config: AnyRunConfig, preset: str | None
) -> Mapping[str, Outcome]:
    from dagwire.execute.processes import Origin, run_in_processes  # noqa: PLC0415

    if pointer is None:
        name = environment.job.name
        raise ExecutionError(f"job {name!r} runs its steps in other processes: its code must have a pointer")
    return run_in_processes(environment, Origin(pointer, run_config, preset))


def _in_pods(environment: Environment, pods: "Crew | None") -> Mapping[str, Outcome]:
    from dagwire.execute.pods import run_in_pods  # noqa: PLC0415

    if pods is None:
        name = environment.job.name
        raise ExecutionError(f"job {name!r} runs each step in a pod of its own: only a run worker can ask for those")
    return run_in_pods(environment, pods)


def prepare(
    job: Job,
    run: RunInfo,
    run_config: AnyRunConfig,
    preset: str | None,
    emit: Callable[[Event], None],
    storage_directory: Path,
) -> Environment:
    """Return everything that the run's steps need; nothing has happened yet.

    Raises:
        InvalidConfigError: the run config does not fit.
    """
    resolved = job.resolve_config(run_config, preset)
    return Environment(job, run, resolved, job.plan(resolved), emit, storage_directory)


def guarded(
    preparing: Callable[[], Environment],
    engine: Engine,
    on_error: Callable[[BaseException], None] = lambda _error: None,
) -> Ended:
    """Prepare and run, and return how it ended: nothing but an interrupt from the keyboard gets out.

    Args:
        preparing: returns the run's surroundings.
        engine: runs its steps.
        on_error: is told what ended the run, if not a step.
    """
    started = time.monotonic()
    try:
        environment = preparing()
        environment.emit(
            RunPlanned(
                executor=environment.job.executor_def.name,
                steps=environment.plan.planned,
                run_config=dict(environment.resolved.run_config),
                definitions_hash=environment.run.definitions_hash,
            )
        )
        outcomes = engine(environment)
    except RunCancellation as error:
        on_error(error)
        return RunCanceled(message=str(error) or "the run was canceled", seconds=time.monotonic() - started)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- the boundary: whatever it is becomes the run's end
        on_error(error)
        return RunFailed(
            cause=FailureCause.RUN_ERROR,
            message=str(error),
            error=error_info(error),
            seconds=time.monotonic() - started,
        )
    return verdict(outcomes, time.monotonic() - started)


def verdict(outcomes: Mapping[str, Outcome], seconds: float) -> Ended:
    """Return how a run ended whose steps all ended."""
    failed = {key: outcome for key, outcome in outcomes.items() if outcome.status == "failed"}
    if not failed:
        return RunSucceeded(seconds=seconds)
    named = ", ".join(list(failed)[:_NAMED_STEPS]) + (", …" if len(failed) > _NAMED_STEPS else "")
    return RunFailed(
        cause=FailureCause.STEP_FAILED,
        message=f"{len(failed)} of {len(outcomes)} steps failed: {named}",
        error=next(iter(failed.values())).error,
        seconds=seconds,
    )
