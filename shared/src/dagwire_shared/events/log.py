"""What a run says while it runs."""

from typing import ClassVar, Literal

from pydantic import Field

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.values import LogLevel
from dagwire_shared.ids import StepKey
from dagwire_shared.model import Json
from dagwire_shared.subjects import Kind


class LogWritten(EventBase):
    """One line: from ``context.log``, a stdlib logger, stdout or stderr."""

    TYPE: ClassVar[str] = "dagwire.log.written"
    KIND: ClassVar[Kind] = Kind.LOG

    level: LogLevel
    message: str
    stream: Literal["log", "stdout", "stderr"] = "log"
    logger: str | None = None
    """The stdlib logger's name; None for ``context.log``."""
    step_key: StepKey | None = None
    fields: Json = Field(default_factory=dict)


class EngineNoted(EventBase):
    """Something about the execution itself: an executor, a resource, the spool."""

    TYPE: ClassVar[str] = "dagwire.engine.noted"
    KIND: ClassVar[Kind] = Kind.ENGINE

    level: LogLevel = LogLevel.INFO
    message: str
    step_key: StepKey | None = None
    fields: Json = Field(default_factory=dict)
