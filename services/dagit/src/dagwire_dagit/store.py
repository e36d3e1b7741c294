"""The port to the history: what Dagit asks of PostgreSQL, in its own words. ``queries`` implements it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dagwire_shared.ids import RunId, ScheduleId

from dagwire_dagit.cursors import BEGINNING, END, Cursor
from dagwire_dagit.models import Asset, Run, RunDetail, RunStatus, Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are wanted; what is empty does not narrow."""

    statuses: Sequence[RunStatus] = ()
    location: str | None = None
    repository: str | None = None
    job: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    requested_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events are wanted: those with ``after`` < cursor ≤ ``through``, oldest first."""

    aggregate: str | None
    """A run's or a schedule's id; None: of all, and then ``kinds`` are of the life of runs and schedules only."""
    kinds: Sequence[str] = ()
    levels: Sequence[str] = ()
    after: Cursor = BEGINNING
    through: Cursor = END
    limit: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was received."""

    cursor: Cursor
    body: str
    """The envelope, JSON."""


Progress = Mapping[str, Cursor]
"""Through which event each shard is stored. A shard without an event is missing."""


class Store(Protocol):
    """The history. Every method raises ``UnavailableError`` when the database is away or too slow."""

    async def runs(self, wanted: RunFilter, *, limit: int, before: Cursor | None) -> list[Run]:
        """Return runs, newest first."""
        ...

    async def run(self, run_id: RunId) -> RunDetail | None:
        """Return one run with its steps, or None."""
        ...

    async def events(self, wanted: EventQuery) -> list[StoredEvent]:
        """Return events in stream order."""
        ...

    async def progress(self) -> Progress:
        """Return how far the store has come."""
        ...

    async def last_ticks(self, schedules: Sequence[ScheduleId]) -> Mapping[ScheduleId, Tick]:
        """Return the newest tick of each schedule that has one."""
        ...

    async def ticks(self, schedule: ScheduleId, *, limit: int, before: datetime | None) -> list[Tick]:
        """Return ticks of one schedule, newest first."""
        ...

    async def assets(self, *, limit: int) -> list[Asset]:
        """Return the newest materialization of each asset."""
        ...

    async def reachable(self) -> bool:
        """Return whether the database answers now."""
        ...
