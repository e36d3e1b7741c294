"""What the platform does to a run's worker, as the launcher sees it: it tells, and changes nothing of the run."""

from typing import ClassVar

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.values import FailureCause
from dagwire_shared.subjects import Kind


class WorkerDelayed(EventBase):
    """The run's worker does not come to run for now; it may yet, and is waited for. Said again when the cause changes.

    If nothing changes until the start timeout, the run is lost with this cause.
    """

    TYPE: ClassVar[str] = "dagwire.worker.delayed"
    KIND: ClassVar[Kind] = Kind.WORKER

    cause: FailureCause
    """What it would fail of, were it not waited for."""
    message: str
    """What it waits for and what to do, for people, with the platform's own words."""
