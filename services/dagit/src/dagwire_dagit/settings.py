"""The settings of Dagit, from the environment."""

from pathlib import Path
from typing import Annotated, Any

from dagwire_shared.settings import BusSettings, DatabaseSettings
from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode, SettingsConfigDict


def _words(value: Any) -> Any:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


class Settings(BusSettings, DatabaseSettings):
    """What Dagit is told from outside."""

    model_config = SettingsConfigDict(env_prefix="DAGWIRE_DAGIT_")

    workspace: Path | None = None
    """The workspace file, which lists the code servers. Without it there are none."""

    host: str = "127.0.0.1"
    """The address to listen on. ``0.0.0.0``: all of IPv4."""

    port: int = Field(default=3000, ge=0, le=65535)
    """The port to listen on; 0: any that is free, which is logged."""

    allowed_hosts: Annotated[list[str], NoDecode, BeforeValidator(_words)] = Field(default_factory=list)
    """The names, joined by commas, under which browsers reach Dagit beside localhost and ``host``: others are refused,
    so that no foreign web page can pose as it. ``*``: any, for a proxy that checks."""

    ring_bytes: int = Field(default=64 * 2**20, ge=2**20)
    """Bytes of recent events kept in memory. Clients that are further behind are served from the database."""

    feeds: int = Field(default=1000, ge=1)
    """How many clients may follow the live feed at once; the next one is told to try again."""

    statement_seconds: float = Field(default=10.0, gt=0)
    """Seconds after which a query is given up."""

    stop_seconds: float = Field(default=5.0, gt=0)
    """Seconds that requests in progress may take when Dagit stops. Live feeds end at once, and resume by themselves."""
