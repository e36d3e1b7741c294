"""Facts about a run that its worker establishes."""

from typing import ClassVar

from pydantic import Field

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.values import ErrorInfo, FailureCause, PlannedStep
from dagwire_shared.model import Json
from dagwire_shared.subjects import Kind


class RunStarted(EventBase):
    """A worker has taken the run: the first event on its ``run`` subject, and the fence against a second worker."""

    TYPE: ClassVar[str] = "dagwire.run.started"
    KIND: ClassVar[Kind] = Kind.RUN

    worker: str
    """A random word of this worker's own: it recognises its claim by it."""
    host: str
    pid: int


class RunPlanned(EventBase):
    """The worker loaded the job, validated the config and knows its steps."""

    TYPE: ClassVar[str] = "dagwire.run.planned"
    KIND: ClassVar[Kind] = Kind.RUN

    executor: str
    steps: list[PlannedStep]
    """In topological order."""
    run_config: Json = Field(default_factory=dict)
    """With preset and defaults filled in."""
    definitions_hash: str | None = None


class RunSucceeded(EventBase):
    """Every step succeeded or was skipped by its data. Terminal."""

    TYPE: ClassVar[str] = "dagwire.run.succeeded"
    KIND: ClassVar[Kind] = Kind.RUN

    seconds: float
    """From the worker's start."""


class RunFailed(EventBase):
    """At least one step failed, or the run could not be set up. Terminal."""

    TYPE: ClassVar[str] = "dagwire.run.failed"
    KIND: ClassVar[Kind] = Kind.RUN

    cause: FailureCause
    message: str
    error: ErrorInfo | None = None
    seconds: float


class RunCanceled(EventBase):
    """The worker heard the cancel order (or a SIGTERM) and stopped. Terminal."""

    TYPE: ClassVar[str] = "dagwire.run.canceled"
    KIND: ClassVar[Kind] = Kind.RUN

    message: str
    seconds: float
