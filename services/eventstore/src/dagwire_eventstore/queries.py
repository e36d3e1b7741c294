"""The SQL of the event store, each statement named and explained. Parameters are ``$1`` …, as asyncpg has them."""

from typing import Final


def _upsert(table: str, key: tuple[str, ...], columns: tuple[str, ...], *, only_if: str = "") -> str:
    """Return a statement that writes whole rows, given as one JSON array, over those with the same key."""
    names = ", ".join((*key, *columns))
    return (
        f"INSERT INTO {table} ({names}) "  # noqa: S608 -- names of this module, no value of anybody's
        f"SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb) "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE "
        f"SET ({', '.join(columns)}) = ROW({', '.join(f'excluded.{name}' for name in columns)})"
        + (f" WHERE {only_if}" if only_if else "")
    )


# --- storing ----------------------------------------------------------------------------------------------------------

LOCK_PROGRESS: Final = """
    SELECT shard, epoch, seq FROM progress WHERE shard = ANY($1::text[]) ORDER BY shard FOR UPDATE
"""
"""How far some shards are stored. The row locks let one transaction at a time store events of a shard."""

READ_PROGRESS: Final = "SELECT shard, epoch, seq FROM progress WHERE shard = ANY($1::text[])"
"""The same without a lock: where to begin reading."""

BEGIN_PROGRESS: Final = """
    INSERT INTO progress (shard, epoch, seq) SELECT shard, 0, 0 FROM unnest($1::text[]) AS shard ORDER BY shard
    ON CONFLICT DO NOTHING
"""
"""A row for each shard, so that there is something to lock."""

ADVANCE_PROGRESS: Final = """
    UPDATE progress SET epoch = $2, seq = $3 WHERE shard = ANY($1::text[]) AND (epoch, seq) < ($2, $3)
"""
"""Every event of these shards up to this sequence is stored, once this transaction commits."""

INSERT_EVENTS: Final = """
    INSERT INTO events (epoch, seq, aggregate, id, type, kind, source, time, step_key, level, envelope)
    SELECT $1::bigint, * FROM unnest(
        $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[],
        $10::text[], $11::json[])
    ON CONFLICT DO NOTHING
    RETURNING seq
"""
"""A batch of events; returns those that were not stored before under their producer's id."""

# --- projections ------------------------------------------------------------------------------------------------------

READ_RUNS: Final = "SELECT * FROM runs WHERE run_id = ANY($1::uuid[])"
"""The runs that a batch speaks of."""

READ_STEPS: Final = """
    SELECT steps.* FROM steps JOIN unnest($1::uuid[], $2::text[]) AS wanted (run_id, step_key) USING (run_id, step_key)
"""
"""The steps that a batch speaks of."""

READ_OPEN_STEPS: Final = "SELECT * FROM steps WHERE run_id = ANY($1::uuid[]) AND NOT decided ? 'ended'"
"""The steps of runs that have just ended which did not say themselves how they ended."""

READ_TICKS: Final = """
    SELECT ticks.* FROM ticks
    JOIN unnest($1::uuid[], $2::timestamptz[]) AS wanted (schedule_id, nominal_time) USING (schedule_id, nominal_time)
"""
"""The ticks that a batch speaks of."""

WRITE_RUNS: Final = _upsert(
    "runs",
    ("run_id",),
    (
        "location", "repository", "job", "status", "preset", "run_config", "tags", "requested_by", "key", "origin",
        "priority", "requested_at", "queued_at", "launched_at", "started_at", "ended_at", "cause", "message", "error",
        "executor", "resolved_config", "epoch", "seq", "decided",
    ),
)  # fmt: skip
"""Runs that changed."""

WRITE_STEPS: Final = _upsert(
    "steps",
    ("run_id", "step_key"),
    (
        "position", "depends_on", "status", "started_at", "ended_at", "seconds", "reason", "error", "decided",
    ),
)  # fmt: skip
"""Steps that changed."""

WRITE_TICKS: Final = _upsert(
    "ticks",
    ("schedule_id", "nominal_time"),
    ("location", "repository", "schedule", "status", "run_ids", "reason", "missed", "error", "epoch", "seq"),
)
"""Ticks that changed."""

WRITE_ASSETS: Final = _upsert(
    "assets",
    ("asset_key",),
    ("run_id", "step_key", "description", "metadata", "materialized_at", "epoch", "seq"),
    only_if="(assets.epoch, assets.seq) < (excluded.epoch, excluded.seq)",
)
"""Assets that a batch materialized. Runs of any shard write them at once, so the database itself keeps the newest."""

# --- starting ---------------------------------------------------------------------------------------------------------

READ_REVISION: Final = "SELECT version_num FROM alembic_version"
"""Which migration was the last."""

HAS_RIGHTS: Final = """
    SELECT bool_and(has_table_privilege(coalesce($1, current_user), name, wanted))
    FROM unnest(ARRAY['events', 'runs', 'steps', 'ticks', 'assets', 'progress']) AS name, unnest($2::text[]) AS wanted
"""
"""Whether a role (null: this one) has every one of some rights on every table."""

# --- questions --------------------------------------------------------------------------------------------------------

IS_KNOWN: Final = "SELECT EXISTS (SELECT 1 FROM runs WHERE run_id = $1::uuid)"
"""Whether a run was ever recorded."""

# --- rebuilding -------------------------------------------------------------------------------------------------------

EMPTY_PROJECTIONS: Final = "DELETE FROM runs; DELETE FROM steps; DELETE FROM ticks; DELETE FROM assets"
"""By rows, not TRUNCATE: readers go on seeing the old ones until the new ones are committed."""

READ_FACTS: Final = """
    SELECT epoch, seq, aggregate, time, envelope FROM events
    WHERE kind IN ('launch', 'run', 'step', 'tick') OR type = 'dagwire.data.asset_materialized'
    ORDER BY aggregate, epoch, seq
"""
"""Every event from which a projection follows, run by run."""

# --- replicas ---------------------------------------------------------------------------------------------------------

TAKE_LOCK: Final = "SELECT pg_try_advisory_lock($1, $2)"
"""Take a lock of this session's own, or learn that somebody has it."""

JOIN_MEMBERS: Final = "SELECT pg_advisory_lock_shared($1, $2)"
"""Be counted among the replicas while this session lasts."""

READ_LOCKS: Final = """
    SELECT objid::int AS lock, count(*) AS holders FROM pg_locks
    WHERE locktype = 'advisory' AND classid::bigint = $1 AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY objid
"""
"""Which locks are held, and by how many."""

# --- retention --------------------------------------------------------------------------------------------------------

DELETE_OLD_LOGS: Final = """
    DELETE FROM events WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM events WHERE kind = 'log' AND time < $1 LIMIT $2))
"""
"""A portion of the log lines from before a time; found by the block range index on ``time``."""
