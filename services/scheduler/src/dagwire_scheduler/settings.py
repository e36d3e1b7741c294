"""The scheduler's settings: environment variables that begin with ``DAGWIRE_SCHEDULER_``."""

from datetime import timedelta
from pathlib import Path

from dagwire_shared.settings import BusSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from dagwire_scheduler.policy import Policy
from dagwire_scheduler.ticks import Limits


class Settings(BusSettings):
    """What the scheduler needs to know."""

    model_config = SettingsConfigDict(env_prefix="DAGWIRE_SCHEDULER_")

    nats_url: SecretStr = SecretStr("nats://127.0.0.1:4222")
    """The NATS server, or several joined by commas: ``nats://host:port``; may hold credentials."""

    workspace: Path = Path("workspace.yaml")
    """The file that names the code servers."""

    missed_after_seconds: float = Field(default=60, ge=1)
    """A tick that is this many seconds late when it could first be begun was missed: its catch-up policy decides."""

    catch_up_limit: int = Field(default=100, ge=1)
    """The most missed ticks of one schedule that happen after all, and the most that are recorded one by one."""

    evaluation_timeout_seconds: float = Field(default=60, gt=0)
    """How long a schedule's function may take, in seconds; three times in a row longer, and the tick has failed."""

    evaluations_at_once: int = Field(default=8, ge=1)
    """How many schedules' functions a code location is asked at a time; no more than its code server's workers."""

    standby_seconds: float = Field(default=3, ge=0)
    """How long a replica without the lease leaves a due tick to the one that has it, in seconds."""

    lease_seconds: float = Field(default=9, ge=1)
    """After how many seconds another replica takes the lease of one that died, and what that had begun."""

    @property
    def policy(self) -> Policy:
        """How ticks are handled."""
        return Policy(
            limits=Limits(missed_after=timedelta(seconds=self.missed_after_seconds), catch_up=self.catch_up_limit),
            evaluation=timedelta(seconds=self.evaluation_timeout_seconds),
            evaluations_at_once=self.evaluations_at_once,
            standby=timedelta(seconds=self.standby_seconds),
        )
