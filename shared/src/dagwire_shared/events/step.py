"""Facts about one step of a run."""

from typing import ClassVar

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.values import ErrorInfo, FailureCause
from dagwire_shared.ids import StepKey
from dagwire_shared.subjects import Kind


class StepStarted(EventBase):
    """The step's op is about to be called."""

    TYPE: ClassVar[str] = "dagwire.step.started"
    KIND: ClassVar[Kind] = Kind.STEP

    step_key: StepKey
    pid: int


class StepSucceeded(EventBase):
    """The step's op returned and its outputs are kept."""

    TYPE: ClassVar[str] = "dagwire.step.succeeded"
    KIND: ClassVar[Kind] = Kind.STEP

    step_key: StepKey
    seconds: float


class StepFailed(EventBase):
    """The step raised, in its op, its inputs or its outputs; or its worker is lost."""

    TYPE: ClassVar[str] = "dagwire.step.failed"
    KIND: ClassVar[Kind] = Kind.STEP

    step_key: StepKey
    error: ErrorInfo
    seconds: float
    cause: FailureCause | None = None
    """What became of the worker that executed it; None: the step itself raised."""


class StepSkipped(EventBase):
    """The step did not run: an upstream step failed or was skipped, or an output it needs was not produced."""

    TYPE: ClassVar[str] = "dagwire.step.skipped"
    KIND: ClassVar[Kind] = Kind.STEP

    step_key: StepKey
    reason: str
