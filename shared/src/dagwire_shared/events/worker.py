"""What the platform does to the workers of a run, as the launcher sees it: it tells, and changes nothing of the run."""

from typing import ClassVar

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.order import Attempt
from dagwire_shared.events.values import FailureCause
from dagwire_shared.ids import StepKey
from dagwire_shared.subjects import Kind


class WorkerDelayed(EventBase):
    """A worker does not come to run for now; it may yet, and is waited for. Said again when the cause changes.

    If nothing changes until the start timeout, the run is lost, or the step fails, with this cause.
    """

    TYPE: ClassVar[str] = "dagwire.worker.delayed"
    KIND: ClassVar[Kind] = Kind.WORKER

    cause: FailureCause
    """What it would fail of, were it not waited for."""
    message: str
    """What it waits for and what to do, for people, with the platform's own words."""
    step_key: StepKey | None = None
    """The step whose worker it is; None: it is the run's."""


class StepWorkerEnded(EventBase):
    """The worker of a step has ended, or could not be made. It decides nothing if the step had ended before."""

    TYPE: ClassVar[str] = "dagwire.step_worker.ended"
    KIND: ClassVar[Kind] = Kind.WORKER

    step_key: StepKey
    attempt: Attempt = 1
    worker: str
    """What the backend calls it: a process id, a Job's name."""
    cause: FailureCause | None = None
    """What ended it; None: it ended by itself, without an error."""
    message: str = ""
    """How it ended and what to do, for people."""
    output: str = ""
    """The last lines that it wrote, if it did not end well and the backend has them."""
