"""What a run's worker orders of the launcher: workers for single steps of its run."""

from typing import Annotated, ClassVar

from pydantic import Field

from dagwire_shared.events.base import EventBase
from dagwire_shared.ids import StepKey
from dagwire_shared.model import Json
from dagwire_shared.subjects import Kind

Attempt = Annotated[int, Field(ge=1, le=1000)]
"""Counts the workers of one step; the first is 1."""


class StepWorkerRequested(EventBase):
    """The run wants a worker for one of its steps.

    Said again, it asks what became of that worker: the launcher makes no second one for the same attempt, and if it
    has ended, says so again.
    """

    TYPE: ClassVar[str] = "dagwire.step_worker.requested"
    KIND: ClassVar[Kind] = Kind.ORDER

    step_key: StepKey
    attempt: Attempt = 1
    container_config: list[Json] = Field(default_factory=list)
    """Run-pod config of this step, laid over that of its run one after the other."""


class StepWorkerReleased(EventBase):
    """The run wants the worker of a step no more: it is to be ended if it has not."""

    TYPE: ClassVar[str] = "dagwire.step_worker.released"
    KIND: ClassVar[Kind] = Kind.ORDER

    step_key: StepKey
    attempt: Attempt = 1
