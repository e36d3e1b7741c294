"""Facts about a run that the launcher establishes: admitted, launched, cancelling, lost."""

from typing import ClassVar

from pydantic import Field

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.values import ErrorInfo, FailureCause, Origin, RequestedBy
from dagwire_shared.ids import IdempotencyKey, LocationName, Name, Tags
from dagwire_shared.model import Json, Utc
from dagwire_shared.subjects import Kind


class RunQueued(EventBase):
    """A request was admitted: the run exists from here on, and waits for a worker."""

    TYPE: ClassVar[str] = "dagwire.run.queued"
    KIND: ClassVar[Kind] = Kind.LAUNCH

    key: IdempotencyKey
    """The idempotency key from which the run's id is derived."""
    location: LocationName
    repository: Name
    job: Name
    preset: Name | None = None
    run_config: Json = Field(default_factory=dict)
    """As requested; laid over the preset's by the run worker."""
    tags: Tags = Field(default_factory=dict)
    requested_by: RequestedBy
    requested_at: Utc
    """The time of the key: a tick's nominal time, or the client's clock."""
    origin: Origin = Origin()
    priority: int = 0
    """From the tag ``dagwire/priority``; higher first."""


class RunLaunched(EventBase):
    """A worker was created for the run; it has not spoken yet."""

    TYPE: ClassVar[str] = "dagwire.run.launched"
    KIND: ClassVar[Kind] = Kind.LAUNCH

    backend: str
    """``process`` or ``kubernetes`` or ``docker``."""
    worker: str
    """What the backend calls the worker: a process id, a Job's name."""


class RunCanceling(EventBase):
    """A cancel order was accepted and passed on to the worker."""

    TYPE: ClassVar[str] = "dagwire.run.canceling"
    KIND: ClassVar[Kind] = Kind.LAUNCH

    requested_by: RequestedBy


class RunDropped(EventBase):
    """The run was cancelled before any worker spoke, or its worker ignored the order and was ended. Terminal."""

    TYPE: ClassVar[str] = "dagwire.run.dropped"
    KIND: ClassVar[Kind] = Kind.LAUNCH

    requested_by: RequestedBy
    forced: bool = False
    """True: a worker ran, and was killed after the grace period."""


class RunLost(EventBase):
    """The run failed outside its worker's own word: refused, never started, or its worker is gone. Terminal."""

    TYPE: ClassVar[str] = "dagwire.run.lost"
    KIND: ClassVar[Kind] = Kind.LAUNCH

    cause: FailureCause
    message: str
    """What happened and what to do, for people."""
    error: ErrorInfo | None = None
    output: str = ""
    """The last lines that the worker wrote, if the backend has them."""
