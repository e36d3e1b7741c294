"""Facts about schedules. Their aggregate is the schedule's id, not a run's."""

from typing import ClassVar, Literal

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.values import ErrorInfo
from dagwire_shared.ids import LocationName, Name, RunIdField
from dagwire_shared.model import Utc
from dagwire_shared.subjects import Kind


class _OfSchedule(EventBase):
    location: LocationName
    repository: Name
    schedule: Name


class TickRequested(_OfSchedule):
    """The tick was evaluated and its runs are requested."""

    TYPE: ClassVar[str] = "dagwire.tick.requested"
    KIND: ClassVar[Kind] = Kind.TICK

    nominal_time: Utc
    """The tick's time by the cron rule."""
    run_ids: list[RunIdField]


class TickSkipped(_OfSchedule):
    """The tick asks for nothing: the schedule said why, or it was missed and the catch-up policy drops it."""

    TYPE: ClassVar[str] = "dagwire.tick.skipped"
    KIND: ClassVar[Kind] = Kind.TICK

    nominal_time: Utc
    reason: str
    missed: bool = False


class TickFailed(_OfSchedule):
    """The schedule's function raised, or asked for something that does not exist."""

    TYPE: ClassVar[str] = "dagwire.tick.failed"
    KIND: ClassVar[Kind] = Kind.TICK

    nominal_time: Utc
    error: ErrorInfo


class ScheduleSwitched(_OfSchedule):
    """Somebody switched a schedule on or off."""

    TYPE: ClassVar[str] = "dagwire.schedule.switched"
    KIND: ClassVar[Kind] = Kind.TICK

    status: Literal["running", "stopped"]
    by: str
