"""How the processes log: one line per fact, as text for people or JSON for machines. Decides no levels per module."""

import json
import logging
import re
import sys
import time
import traceback
from typing import Any, Final, Literal, TextIO

LogFormat = Literal["text", "json"]

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")


def redact(text: str) -> str:
    """Return the text with the credentials of every URL in it replaced by ``***``."""
    return _CREDENTIALS.sub("***@", text)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was passed as ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and not name.startswith("_")}


def _stamp(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"


def _trace(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return record.exc_text or ""


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.000Z INFO  dagwire_launcher  run launched  run_id=… pod=…``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, its trace on further ones."""
        fields = " ".join(f"{name}={_short(value)}" for name, value in fields_of(record).items())
        parts = [f"{_stamp(record)} {record.levelname:<7} {record.name}", record.getMessage(), fields]
        line = "  ".join(part for part in parts if part)
        trace = _trace(record)
        return redact(f"{line}\n{trace}" if trace else line)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and every extra field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        value: dict[str, Any] = {
            "time": _stamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, field in fields_of(record).items():
            value.setdefault(name, field)
        trace = _trace(record)
        if trace:
            value["exception"] = trace
        return redact(json.dumps(value, default=str, ensure_ascii=False))


def _short(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(mark in text for mark in ' "=\n\r\t') else text


def configure_logging(*, level: str = "INFO", log_format: LogFormat = "text", stream: TextIO | None = None) -> None:
    """Send every log record of this process to ``stream`` (standard error), in the chosen form."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
