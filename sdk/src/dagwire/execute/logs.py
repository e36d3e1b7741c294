"""Log lines as events: from ``context.log`` and from the stdlib loggers of user code."""

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from dagwire_shared.events import Event, LogLevel, LogWritten

from dagwire.context import log_fields
from dagwire.metadata import MAX_TEXT, shown_json, shown_text

Emit = Callable[[Event], None]

_OWN: Final = ("dagwire", "dagwire_shared", "nats")
"""Loggers whose lines are about Dagwire itself: their lines would follow themselves round in a circle."""


class CurrentStep:
    """Which step runs now in this process: what lines from anywhere in it belong to."""

    key: str | None = None


def level_of(number: int) -> LogLevel:
    """Return the level of a stdlib level number."""
    levels = ((logging.CRITICAL, LogLevel.CRITICAL), (logging.ERROR, LogLevel.ERROR))
    more = ((logging.WARNING, LogLevel.WARNING), (logging.INFO, LogLevel.INFO))
    return next((level for least, level in (*levels, *more) if number >= least), LogLevel.DEBUG)


def as_event(record: logging.LogRecord, *, logger: str | None, step_key: str | None) -> LogWritten:
    """Return a log record as an event."""
    fields: dict[str, Any] = log_fields(record)
    if record.exc_info and record.exc_info[1] is not None:
        fields["exception"] = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    return LogWritten(
        level=level_of(record.levelno),
        message=shown_text(_message(record)),
        logger=logger,
        step_key=step_key,
        fields=_fields(fields),
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError) as error:  # arguments that do not fit the format
        return f"{record.msg} {record.args!r} ({error})"


def _fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): shown_json(value, limit=MAX_TEXT) for key, value in fields.items()}


class _ToEvents(logging.Handler):
    """Emits what reaches it."""

    def __init__(self, emit: Emit, step: CurrentStep, *, named: bool) -> None:
        super().__init__(logging.NOTSET)
        self._emit_event = emit
        self._step = step
        self._named = named

    def emit(self, record: logging.LogRecord) -> None:
        if self._named and record.name.partition(".")[0] in _OWN:
            return
        logger = record.name if self._named else None
        self._emit_event(as_event(record, logger=logger, step_key=self._step.key))


def run_logger(emit: Emit, step: CurrentStep) -> logging.Logger:
    """Return the logger that user code gets as ``context.log``; it is in no hierarchy and has no level."""
    logger = logging.Logger("dagwire.context", logging.DEBUG)  # noqa: LOG001 -- not registered: one per run
    logger.addHandler(_ToEvents(emit, step, named=False))
    return logger


@contextmanager
def captured_logging(emit: Emit, step: CurrentStep) -> Iterator[None]:
    """Emit what the stdlib loggers of user code write, from level INFO."""
    root = logging.getLogger()
    handler = _ToEvents(emit, step, named=True)
    level = root.level
    root.addHandler(handler)
    if root.level > logging.INFO:
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
