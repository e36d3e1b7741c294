"""The first tables: events, their projections, and how far the stream is stored."""

from typing import Final

from alembic import op

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None

_TABLES: Final = """
CREATE TABLE events (
    epoch      bigint NOT NULL,
    seq        bigint NOT NULL,
    aggregate  uuid NOT NULL,
    id         text NOT NULL,
    type       text NOT NULL,
    kind       text NOT NULL,
    source     text NOT NULL,
    time       timestamptz NOT NULL,
    step_key   text,
    level      text,
    envelope   json NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (aggregate, id)
);
CREATE INDEX events_aggregate_order ON events (aggregate, epoch, seq);
CREATE INDEX events_feed_order ON events (epoch, seq) WHERE kind IN ('launch', 'run', 'tick');
CREATE INDEX events_time ON events USING brin (time);

CREATE TABLE runs (
    run_id          uuid NOT NULL,
    location        text,
    repository      text,
    job             text,
    status          text NOT NULL,
    preset          text,
    run_config      jsonb,
    tags            jsonb,
    requested_by    jsonb,
    key             text,
    origin          jsonb,
    priority        integer NOT NULL DEFAULT 0,
    requested_at    timestamptz,
    queued_at       timestamptz,
    launched_at     timestamptz,
    started_at      timestamptz,
    ended_at        timestamptz,
    cause           text,
    message         text,
    error           jsonb,
    executor        text,
    resolved_config jsonb,
    epoch           bigint NOT NULL,
    seq             bigint NOT NULL,
    decided         jsonb NOT NULL DEFAULT '{}'::jsonb,
    CONSTRAINT runs_pkey PRIMARY KEY (run_id)
);
CREATE INDEX runs_order ON runs (epoch, seq);
CREATE INDEX runs_status_order ON runs (status, epoch, seq);
CREATE INDEX runs_job_order ON runs (location, repository, job, epoch, seq);
CREATE INDEX runs_tags ON runs USING gin (tags jsonb_path_ops);

CREATE TABLE steps (
    run_id     uuid NOT NULL,
    step_key   text NOT NULL,
    position   integer,
    depends_on jsonb,
    status     text NOT NULL,
    started_at timestamptz,
    ended_at   timestamptz,
    seconds    double precision,
    reason     text,
    error      jsonb,
    decided    jsonb NOT NULL DEFAULT '{}'::jsonb,
    CONSTRAINT steps_pkey PRIMARY KEY (run_id, step_key)
);

CREATE TABLE ticks (
    schedule_id  uuid NOT NULL,
    nominal_time timestamptz NOT NULL,
    location     text NOT NULL,
    repository   text NOT NULL,
    schedule     text NOT NULL,
    status       text NOT NULL,
    run_ids      jsonb NOT NULL DEFAULT '[]'::jsonb,
    reason       text,
    missed       boolean NOT NULL DEFAULT false,
    error        jsonb,
    epoch        bigint NOT NULL,
    seq          bigint NOT NULL,
    CONSTRAINT ticks_pkey PRIMARY KEY (schedule_id, nominal_time)
);

CREATE TABLE assets (
    asset_key       text[] NOT NULL,
    run_id          uuid NOT NULL,
    step_key        text NOT NULL,
    description     text NOT NULL,
    metadata        jsonb NOT NULL DEFAULT '{}'::jsonb,
    materialized_at timestamptz NOT NULL,
    epoch           bigint NOT NULL,
    seq             bigint NOT NULL,
    CONSTRAINT assets_pkey PRIMARY KEY (asset_key)
);

CREATE TABLE progress (
    shard text NOT NULL,
    epoch bigint NOT NULL,
    seq   bigint NOT NULL,
    CONSTRAINT progress_pkey PRIMARY KEY (shard)
);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them, and with them the history."""
    op.execute("DROP TABLE events, runs, steps, ticks, assets, progress")
