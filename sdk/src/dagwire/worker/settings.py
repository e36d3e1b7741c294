"""The run worker's settings. Read without pydantic: the run is taken before that is imported."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, get_type_hints

from dagwire_shared.errors import SettingsError

PREFIX: Final = "DAGWIRE_WORKER_"


class Signals(StrEnum):
    """What a signal to end means to a worker that heard no cancel order."""

    CANCEL = "cancel"
    INTERRUPT = "interrupt"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run worker needs to know: environment variables that begin with ``DAGWIRE_WORKER_``."""

    nats_url: str = "nats://127.0.0.1:4222"
    """The NATS server, with the credential of run workers."""

    inbox_prefix: str = "_INBOX_worker"
    """Where answers are received: a credential of run workers allows nothing else."""

    refused_seconds: float = 300.0
    """How long a refused credential is tried again at the start, in seconds: whoever vouches for it may be away."""

    storage_directory: Path = Path(".dagwire/storage")
    """Where the file-system IO manager keeps the outputs of steps."""

    spool_directory: Path = Path(".dagwire/spool")
    """Where events wait while the bus is away and the memory is full."""

    spool_limit_bytes: int = 1024 * 1024 * 1024
    """How much may wait there; then the run is held until the bus takes events."""

    finish_timeout_seconds: float = 6 * 3600.0
    """How long an ended run waits for the bus to take its last events, in seconds."""

    signals: Signals = Signals.CANCEL
    """What SIGTERM means: ``cancel`` the run, or ``interrupt`` it, and whoever sent it tells how the run ended."""

    step_absence_seconds: float = 60.0
    """For the worker of a step: a run worker that answers nothing for so long, while the bus is there, is gone; then
    the step is ended."""

    step_silence_seconds: float = 60.0
    """For a run with step workers: after so long without a word of one, the launcher is asked what became of it, then
    ever more rarely."""

    log_level: str = "INFO"
    """The least severe records of the worker itself that are written to its standard error."""


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: something is wrong; the message lists every fault.
    """
    types = get_type_hints(Settings)
    values: dict[str, Any] = {}
    faults = []
    for field in fields(Settings):
        variable = f"{PREFIX}{field.name.upper()}"
        if variable not in environment:
            continue
        try:
            values[field.name] = _read(types[field.name], environment[variable])
        except ValueError as error:
            faults.append(f"  {variable}: {error}")
    if faults:
        raise SettingsError("\n".join(["wrong settings:", *faults]))
    return Settings(**values)


def _read(kind: type, text: str) -> Any:
    if kind in {int, float}:
        try:
            number = kind(text)
        except ValueError:
            raise ValueError("is not a number") from None
        if number < 0:
            raise ValueError("is less than 0")
        return number
    return kind(text)
