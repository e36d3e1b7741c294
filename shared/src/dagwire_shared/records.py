"""What the state bucket holds, and under which keys. Values are JSON; every write is compare-and-set."""

from typing import Literal

from pydantic import Field

from dagwire_shared.ids import LocationName, ScheduleId, check_location
from dagwire_shared.model import Json, Model, Utc


class CodePointer(Model):
    """How a code location's code is found: what a run worker on the same machine is started with."""

    python_file: str | None = None
    module_name: str | None = None
    package_name: str | None = None
    attribute: str | None = None
    working_directory: str
    executable: str


class CodeLocation(Model):
    """A code location whose definitions loaded: the last good state, kept while its server is away.

    Written by the scheduler, read by the launcher.
    """

    name: LocationName
    image: str | None = None
    definitions_hash: str
    pointer: CodePointer
    repositories: dict[str, list[str]] = Field(default_factory=dict)
    """Job names by repository."""
    container_context: Json = Field(default_factory=dict)
    """What the pods of its runs shall be like: ``{"k8s": {…}}``."""
    container_configs: dict[str, dict[str, Json]] = Field(default_factory=dict)
    """What those of single jobs shall be like, by repository and job; only jobs that say so."""


class ScheduleSwitch(Model):
    """A schedule that somebody switched by hand; without this record its code decides."""

    location: LocationName
    repository: str
    schedule: str
    status: Literal["running", "stopped"]
    by: str
    at: Utc


class ScheduleCursor(Model):
    """How far a schedule has been evaluated, and under which rule. Written by the scheduler alone."""

    evaluated_through: Utc
    """No tick up to here will happen any more: it is settled, or it was before the schedule ran under this rule."""
    begun: Utc | None = None
    """The tick that is being evaluated. It is finished whatever the catch-up policy says of others."""
    active: bool = True
    """False: the schedule was seen switched off, or gone from its code."""
    cron_schedules: list[str] = Field(default_factory=list)
    execution_timezone: str = ""
    """With ``cron_schedules`` the rule under which it ran; under another one it begins anew."""
    location: str = ""
    repository: str = ""
    schedule: str = ""


class Lease(Model):
    """Who acts for a role now. It spares double work; nothing relies on it."""

    holder: str
    renewed_at: Utc


def location_key(name: str) -> str:
    """Return the key of a code location's record."""
    return f"location.{check_location(name)}"


def switch_key(schedule_id: ScheduleId) -> str:
    """Return the key of a schedule's switch."""
    return f"switch.{schedule_id}"


def cursor_key(schedule_id: ScheduleId) -> str:
    """Return the key of a schedule's cursor."""
    return f"cursor.{schedule_id}"


def lease_key(role: str) -> str:
    """Return the key of a role's lease."""
    return f"lease.{role}"
