"""The event store's settings: environment variables ``DAGWIRE_EVENTSTORE_…``."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Self

from dagwire_shared.settings import BusSettings, DatabaseSettings, variable_of
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from dagwire_eventstore.rights import READER, WRITER, Role


class MigrationSettings(DatabaseSettings):
    """What bringing the tables up to date needs to know."""

    model_config = SettingsConfigDict(env_prefix="DAGWIRE_EVENTSTORE_")

    writer_role: str | None = None
    """A role that is granted what storing events needs, and not to change tables: the event store's, if it is not the
    one that migrates. Unset: nobody is."""

    writer_password: SecretStr | None = None
    """The writing role is made if it is not there, and gets this password. Unset: its password is left as it is."""

    reader_role: str | None = None
    """A role that is granted SELECT on all tables: Dagit's. Unset: nobody is."""

    reader_password: SecretStr | None = None
    """The reading role is made if it is not there, and gets this password. Unset: its password is left as it is."""

    database_wait_seconds: float = Field(default=300, ge=0)
    """How long ``migrate`` waits for PostgreSQL to answer, in seconds. The service itself waits without end."""

    @model_validator(mode="after")
    def _check_roles(self) -> Self:
        for field, role, password in (
            ("writer_password", self.writer_role, self.writer_password),
            ("reader_password", self.reader_role, self.reader_password),
        ):
            if password is not None and role is None:
                needed = variable_of(type(self), field.replace("password", "role"))
                raise ValueError(f"{variable_of(type(self), field)}: is a password of no role; set {needed} as well")
        if self.writer_role is not None and self.writer_role == self.reader_role:
            raise ValueError(f"{variable_of(type(self), 'reader_role')}: is the writing role; name another one")
        return self

    @property
    def roles(self) -> Sequence[Role]:
        """The roles that are granted something."""
        named = ((self.writer_role, self.writer_password, WRITER), (self.reader_role, self.reader_password, READER))
        return [
            Role(name, rights, password.get_secret_value() if password is not None else None)
            for name, password, rights in named
            if name is not None
        ]


class EventStoreSettings(BusSettings, MigrationSettings):
    """What an event store process needs to know."""

    model_config = SettingsConfigDict(env_prefix="DAGWIRE_EVENTSTORE_")

    migration: Literal["apply", "await"] = "apply"
    """Who brings the tables up to date: ``apply``: this process, before it stores anything; ``await``: somebody else
    by ``migrate``, for which it waits. Then its role needs no rights to change tables."""

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
