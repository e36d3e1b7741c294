"""Decides what the end of a step's worker is called, and when one that does not come to run is given up. No I/O."""

from datetime import timedelta
from typing import Final

from dagwire_shared.events import FailureCause, StepWorkerEnded

from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.endings import CLAIM_LOST, INTERRUPTED, TOLD, signal_name
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.stepname import StepName

RUN_GONE: Final = 70
"""The exit code of a step worker whose run worker is gone, or takes nothing more from it."""

_CODES: Final = {
    CLAIM_LOST: "did not get the step: another worker has it, or it is not wanted",
    RUN_GONE: "lost its run worker",
    INTERRUPTED: "was told to end",
}


def step_ended(name: StepName, end: WorkerEnd, *, output: str = "") -> StepWorkerEnded:
    """Return the event that tells how the worker of a step ended."""
    if end.code == TOLD and end.cause is None:
        return StepWorkerEnded(step_key=name.step_key, attempt=name.attempt, worker=name.worker)
    message = " ".join(part for part in (f"The step's worker {_how(end)}.", end.reason) if part)
    return _ended(name, end.cause or FailureCause.WORKER_LOST, message, output)


def step_refused(name: StepName, error: LaunchRefusedError) -> StepWorkerEnded:
    """Return the event that tells that a worker could not be made."""
    return _ended(name, error.cause, str(error))


def step_not_started(name: StepName, delay: WorkerDelay, *, limit: timedelta) -> StepWorkerEnded:
    """Return the event that tells that a worker was given up before it ran."""
    what = f"The step's worker did not start within {limit.total_seconds():g} seconds and was ended."
    return _ended(name, delay.cause, f"{what} {delay.message}")


def _ended(name: StepName, cause: FailureCause, message: str, output: str = "") -> StepWorkerEnded:
    return StepWorkerEnded(
        step_key=name.step_key,
        attempt=name.attempt,
        worker=name.worker,
        cause=cause,
        message=message,
        output=output,
    )


def _how(end: WorkerEnd) -> str:
    if end.signal is not None:
        return f"was killed by {signal_name(end.signal)}"
    if end.code is None:
        return "ended"
    return _CODES.get(end.code, f"ended with exit code {end.code}")
