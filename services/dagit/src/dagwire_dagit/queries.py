"""What Dagit reads from PostgreSQL: the queries, and rows as the API's shapes. The tables are the event store's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from dagwire_shared.events import Origin
from dagwire_shared.ids import RunId, ScheduleId

from dagwire_dagit.cursors import Cursor
from dagwire_dagit.database import Database
from dagwire_dagit.errors import UnavailableError
from dagwire_dagit.models import Asset, Run, RunDetail, Step, Tick
from dagwire_dagit.store import EventQuery, Progress, RunFilter, StoredEvent

_LAST: Final = 2**63 - 1

# A page of runs, newest first. A parameter that is null does not narrow. A run without a job is one whose first event
# the event store could not read: there is nothing to show.
_RUNS: Final = """
SELECT run_id, location, repository, job, status, preset, tags, requested_by, key, requested_at, queued_at,
       launched_at, started_at, ended_at, cause, message, epoch, seq
FROM runs
WHERE (epoch, seq) < ($1, $2) AND job IS NOT NULL
  AND ($3::text[] IS NULL OR status = ANY($3))
  AND ($4::text IS NULL OR location = $4)
  AND ($5::text IS NULL OR repository = $5)
  AND ($6::text IS NULL OR job = $6)
  AND ($7::jsonb IS NULL OR tags @> $7)
  AND ($8::text IS NULL OR requested_by ->> 'kind' = $8)
ORDER BY epoch DESC, seq DESC
LIMIT $9
"""

_RUN: Final = "SELECT * FROM runs WHERE run_id = $1 AND job IS NOT NULL"

_STEPS: Final = """
SELECT step_key, depends_on, status, started_at, ended_at, seconds, reason, error
FROM steps WHERE run_id = $1 ORDER BY position, step_key
"""

# A page of one run's or schedule's events.
_EVENTS: Final = """
SELECT epoch, seq, envelope::text AS body
FROM events
WHERE aggregate = $8
  AND (epoch, seq) > ($1, $2) AND (epoch, seq) <= ($3, $4)
  AND ($5::text[] IS NULL OR kind = ANY($5))
  AND ($6::text[] IS NULL OR level = ANY($6))
ORDER BY epoch, seq
LIMIT $7
"""

# A page of the life of all runs and schedules; the first condition is that of the partial index.
_LIFE: Final = """
SELECT epoch, seq, envelope::text AS body
FROM events
WHERE kind IN ('launch', 'run', 'tick')
  AND (epoch, seq) > ($1, $2) AND (epoch, seq) <= ($3, $4)
  AND ($5::text[] IS NULL OR kind = ANY($5))
  AND ($6::text[] IS NULL OR level = ANY($6))
ORDER BY epoch, seq
LIMIT $7
"""

_PROGRESS: Final = "SELECT shard, epoch, seq FROM progress"

_LAST_TICKS: Final = """
SELECT wanted.schedule_id, nominal_time, status, run_ids, reason, missed, error
FROM unnest($1::uuid[]) AS wanted (schedule_id)
CROSS JOIN LATERAL (
    SELECT nominal_time, status, run_ids, reason, missed, error
    FROM ticks WHERE ticks.schedule_id = wanted.schedule_id
    ORDER BY nominal_time DESC LIMIT 1
) AS newest
"""

_TICKS: Final = """
SELECT nominal_time, status, run_ids, reason, missed, error
FROM ticks
WHERE schedule_id = $1 AND ($2::timestamptz IS NULL OR nominal_time < $2)
ORDER BY nominal_time DESC
LIMIT $3
"""

_ASSETS: Final = """
SELECT asset_key, description, metadata, run_id, step_key, materialized_at
FROM assets ORDER BY materialized_at DESC, asset_key LIMIT $1
"""


class PostgresStore:
    """The history as PostgreSQL holds it. Implements ``store.Store``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def runs(self, wanted: RunFilter, *, limit: int, before: Cursor | None) -> list[Run]:
        """Return runs, newest first."""
        rows = await self._database.fetch(
            _RUNS,
            *(before if before is not None else (_LAST, _LAST)),
            [status.value for status in wanted.statuses] or None,
            wanted.location,
            wanted.repository,
            wanted.job,
            dict(wanted.tags) or None,
            wanted.requested_by,
            limit,
        )
        return [Run(**_run(row)) for row in rows]

    async def run(self, run_id: RunId) -> RunDetail | None:
        """Return one run with its steps, or None."""
        rows = await self._database.fetch(_RUN, run_id)
        if not rows:
            return None
        row = rows[0]
        steps = await self._database.fetch(_STEPS, run_id)
        return RunDetail(
            **_run(row),
            run_config=row["run_config"] or {},
            resolved_config=row["resolved_config"],
            origin=row["origin"] or Origin(),
            executor=row["executor"],
            error=row["error"],
            steps=[_step(step) for step in steps],
        )

    async def events(self, wanted: EventQuery) -> list[StoredEvent]:
        """Return events in stream order."""
        arguments: list[Any] = [
            *wanted.after,
            *wanted.through,
            list(wanted.kinds) or None,
            list(wanted.levels) or None,
            wanted.limit,
        ]
        if wanted.aggregate is None:
            rows = await self._database.fetch(_LIFE, *arguments)
        else:
            rows = await self._database.fetch(_EVENTS, *arguments, wanted.aggregate)
        return [StoredEvent(Cursor(row["epoch"], row["seq"]), row["body"]) for row in rows]

    async def progress(self) -> Progress:
        """Return how far the store has come."""
        rows = await self._database.fetch(_PROGRESS)
        return {row["shard"]: Cursor(row["epoch"], row["seq"]) for row in rows}

    async def last_ticks(self, schedules: Sequence[ScheduleId]) -> Mapping[ScheduleId, Tick]:
        """Return the newest tick of each schedule that has one."""
        rows = await self._database.fetch(_LAST_TICKS, list(schedules))
        return {ScheduleId(str(row["schedule_id"])): _tick(row) for row in rows}

    async def ticks(self, schedule: ScheduleId, *, limit: int, before: datetime | None) -> list[Tick]:
        """Return ticks of one schedule, newest first."""
        return [_tick(row) for row in await self._database.fetch(_TICKS, schedule, before, limit)]

    async def assets(self, *, limit: int) -> list[Asset]:
        """Return the newest materialization of each asset."""
        return [_asset(row) for row in await self._database.fetch(_ASSETS, limit)]

    async def reachable(self) -> bool:
        """Return whether the database answers, and has the tables."""
        try:
            await self._database.fetch(_PROGRESS)
        except UnavailableError:
            return False
        return True


def _run(row: Mapping[str, Any]) -> dict[str, Any]:
    plain = ("location", "repository", "job", "status", "preset", "key", "cause", "message")
    times = ("requested_at", "queued_at", "launched_at", "started_at", "ended_at")
    return {
        "run_id": str(row["run_id"]),
        "tags": row["tags"] or {},
        "requested_by": row["requested_by"],
        "cursor": str(Cursor(row["epoch"], row["seq"])),
        **{name: row[name] for name in plain + times},
    }


def _step(row: Mapping[str, Any]) -> Step:
    names = ("status", "started_at", "ended_at", "seconds", "reason", "error")
    return Step(key=row["step_key"], depends_on=row["depends_on"] or [], **{name: row[name] for name in names})


def _tick(row: Mapping[str, Any]) -> Tick:
    names = ("nominal_time", "status", "reason", "missed", "error")
    return Tick(run_ids=row["run_ids"] or [], **{name: row[name] for name in names})


def _asset(row: Mapping[str, Any]) -> Asset:
    names = ("asset_key", "step_key", "materialized_at")
    return Asset(
        run_id=str(row["run_id"]),
        description=row["description"] or "",
        metadata=row["metadata"] or {},
        **{name: row[name] for name in names},
    )
