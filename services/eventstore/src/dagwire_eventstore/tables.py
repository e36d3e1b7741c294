"""The tables of the event store, as data. Alembic compares them with the database; no queries here.

``events`` holds every fact as received. All other tables follow from it (``python -m dagwire_eventstore rebuild``),
except ``progress``, which says how far the stream was stored.
"""

from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Column, DateTime, Double, Index, MetaData, PrimaryKeyConstraint, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

METADATA: Final = MetaData()

_FEED: Final = text("kind IN ('launch', 'run', 'tick')")
"""What the live feed of all runs replays."""


def _moment() -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True))


def _json(*, default: str | None = None) -> Any:
    given = None if default is None else text(f"'{default}'::jsonb")
    return Field(sa_column=Column(JSONB, nullable=default is None, server_default=given))


def _number() -> Any:
    return Field(sa_type=BigInteger)


class _Table(SQLModel):
    metadata: ClassVar[MetaData] = METADATA


class Event(_Table, table=True):
    """One fact: the attributes by which it is found, and its envelope byte for byte as text."""

    __tablename__ = "events"
    __table_args__ = (
        PrimaryKeyConstraint("aggregate", "id", name="events_pkey"),
        Index("events_aggregate_order", "aggregate", "epoch", "seq"),
        Index("events_feed_order", "epoch", "seq", postgresql_where=_FEED),
        Index("events_time", "time", postgresql_using="brin"),
    )

    epoch: int = _number()
    """Which life of the stream: rises when the stream is rebuilt."""
    seq: int = _number()
    """The sequence in the stream. (epoch, seq) orders all events."""
    aggregate: UUID
    """The run or the schedule that the event is about."""
    id: str = Field(sa_type=Text)
    """The producer's id: the same event is stored once."""
    type: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    time: datetime = Field(sa_type=DateTime(timezone=True))
    """By the producer's clock."""
    step_key: str | None = Field(default=None, sa_type=Text)
    level: str | None = Field(default=None, sa_type=Text)
    envelope: Any = Field(sa_column=Column(JSON, nullable=False))


class Run(_Table, table=True):
    """A run as its events tell it. Columns stay empty until the event that fills them is stored."""

    __tablename__ = "runs"
    __table_args__ = (
        PrimaryKeyConstraint("run_id", name="runs_pkey"),
        Index("runs_order", "epoch", "seq"),
        Index("runs_status_order", "status", "epoch", "seq"),
        Index("runs_job_order", "location", "repository", "job", "epoch", "seq"),
        Index("runs_tags", "tags", postgresql_using="gin", postgresql_ops={"tags": "jsonb_path_ops"}),
    )

    run_id: UUID
    location: str | None = Field(default=None, sa_type=Text)
    repository: str | None = Field(default=None, sa_type=Text)
    job: str | None = Field(default=None, sa_type=Text)
    status: str = Field(sa_type=Text)
    """QUEUED STARTING STARTED CANCELING SUCCESS FAILURE CANCELED."""
    preset: str | None = Field(default=None, sa_type=Text)
    run_config: Any = _json()
    tags: Any = _json()
    requested_by: Any = _json()
    key: str | None = Field(default=None, sa_type=Text)
    origin: Any = _json()
    priority: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    requested_at: datetime | None = _moment()
    queued_at: datetime | None = _moment()
    launched_at: datetime | None = _moment()
    started_at: datetime | None = _moment()
    ended_at: datetime | None = _moment()
    cause: str | None = Field(default=None, sa_type=Text)
    message: str | None = Field(default=None, sa_type=Text)
    error: Any = _json()
    executor: str | None = Field(default=None, sa_type=Text)
    resolved_config: Any = _json()
    epoch: int = _number()
    """With ``seq``: where the run's first event stands. Orders lists of runs."""
    seq: int = _number()
    decided: Any = _json(default="{}")
    """Where the events stand that decided ``queued``, ``planned`` and ``ended``: ``{"ended": [epoch, seq]}``."""


class Step(_Table, table=True):
    """A step of a run."""

    __tablename__ = "steps"
    __table_args__ = (PrimaryKeyConstraint("run_id", "step_key", name="steps_pkey"),)

    run_id: UUID
    step_key: str = Field(sa_type=Text)
    position: int | None = None
    """In the run's topological order, from 0."""
    depends_on: Any = _json()
    status: str = Field(sa_type=Text)
    """PENDING RUNNING SUCCESS FAILURE SKIPPED."""
    started_at: datetime | None = _moment()
    ended_at: datetime | None = _moment()
    seconds: float | None = Field(default=None, sa_type=Double)
    reason: str | None = Field(default=None, sa_type=Text)
    error: Any = _json()
    decided: Any = _json(default="{}")
    """Where the event stands that decided ``ended``; without it an ended step was closed by its run's end."""


class Tick(_Table, table=True):
    """A tick of a schedule."""

    __tablename__ = "ticks"
    __table_args__ = (PrimaryKeyConstraint("schedule_id", "nominal_time", name="ticks_pkey"),)

    schedule_id: UUID
    nominal_time: datetime = Field(sa_type=DateTime(timezone=True))
    location: str = Field(sa_type=Text)
    repository: str = Field(sa_type=Text)
    schedule: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    """REQUESTED SKIPPED FAILED."""
    run_ids: Any = _json(default="[]")
    reason: str | None = Field(default=None, sa_type=Text)
    missed: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    error: Any = _json()
    epoch: int = _number()
    """With ``seq``: where the event stands that decided the tick."""
    seq: int = _number()


class Asset(_Table, table=True):
    """The newest materialization of each asset."""

    __tablename__ = "assets"
    __table_args__ = (PrimaryKeyConstraint("asset_key", name="assets_pkey"),)

    asset_key: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    run_id: UUID
    step_key: str = Field(sa_type=Text)
    description: str = Field(default="", sa_type=Text)
    metadata_: Any = Field(sa_column=Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")))
    materialized_at: datetime = Field(sa_type=DateTime(timezone=True))
    epoch: int = _number()
    seq: int = _number()


class Progress(_Table, table=True):
    """How far a shard of the stream is stored; written in the transaction that stores it."""

    __tablename__ = "progress"
    __table_args__ = (PrimaryKeyConstraint("shard", name="progress_pkey"),)

    shard: str = Field(sa_type=Text)
    epoch: int = _number()
    seq: int = _number()


TABLES: Final = tuple(METADATA.tables)
"""The names of all tables."""
