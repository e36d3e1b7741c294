"""The event store's settings: environment variables ``DAGWIRE_EVENTSTORE_…``."""

from datetime import timedelta

from dagwire_shared.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class EventStoreSettings(ServiceSettings):
    """What an event store process needs to know."""

    model_config = SettingsConfigDict(env_prefix="DAGWIRE_EVENTSTORE_")

    nats_url: str
    """The bus: ``nats://user:password@host:port``, several joined by commas."""

    database_url: str
    """PostgreSQL: ``postgresql://user:password@host:port/name``, as the role that owns the tables."""

    reader_role: str | None = None
    """A role that is granted SELECT on all tables: Dagit's. Unset: nobody is."""

    partitions: int = Field(default=1, ge=1, le=16)
    """Into how many parts the 16 shards of the event stream are split. One replica at a time stores each part; more
    replicas than partitions stand by. Raise it to the number of replicas when one processor cannot keep up."""

    batch_size: int = Field(default=1000, ge=1, le=100_000)
    """How many events wait to be gathered into one transaction at most; fewer when fewer are there."""

    claim_seconds: float = Field(default=1.0, gt=0, le=60)
    """How often, in seconds, replicas look whether a partition is free or to be shared."""

    watch_seconds: float = Field(default=5.0, gt=0, le=600)
    """How often, in seconds, the event stream is checked for having been rebuilt."""

    log_retention_days: float = Field(default=90, ge=0, le=36_500)
    """After how many days log lines (events of kind ``log``, nothing else) are deleted; 0: never."""

    @property
    def log_retention(self) -> timedelta | None:
        """How long log lines are kept, or None: for ever."""
        return timedelta(days=self.log_retention_days) if self.log_retention_days else None
