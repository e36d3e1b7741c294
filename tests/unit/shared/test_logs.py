"""How log records are written."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
from dagwire_shared.logs import JsonFormatter, TextFormatter, configure_logging, redact


def a_record(message: str = "run launched", *args: object, level: int = logging.INFO, **fields: object):
    record = logging.LogRecord("dagwire_launcher.queue", level, "x.py", 1, message, args, None)
    record.created, record.msecs = 1767225600.25, 250.0
    vars(record).update(fields)
    return record


def test_text_is_one_line_with_time_level_logger_and_fields():
    line = TextFormatter().format(a_record(run_id="r1", pod="p 1", empty=""))

    assert line == (
        '2026-01-01T00:00:00.250Z INFO    dagwire_launcher.queue  run launched  run_id=r1 pod="p 1" empty=""'
    )


def test_a_field_cannot_break_the_line():
    assert "\n" not in TextFormatter().format(a_record(cause='a\nb "c"'))


def test_json_is_one_object_with_every_field():
    value = json.loads(JsonFormatter().format(a_record("took %s", 3, run_id="r1", count=2)))

    assert value == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "INFO",
        "logger": "dagwire_launcher.queue",
        "message": "took 3",
        "run_id": "r1",
        "count": 2,
    }


def test_json_writes_what_is_no_json_as_text_and_keeps_its_own_names():
    value = json.loads(JsonFormatter().format(a_record(path=io, time="mine")))

    assert value["path"].startswith("<module 'io'")
    assert value["time"] == "2026-01-01T00:00:00.250Z"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_exception_keeps_its_trace(formatter: logging.Formatter):
    record = a_record(level=logging.ERROR)
    try:
        int("bad row")
    except ValueError:
        record.exc_info = sys.exc_info()

    text = formatter.format(record)

    assert "ValueError: invalid literal for int() with base 10: 'bad row'" in text
    assert "test_logs.py" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nats://user:secret@host:4222/x", "nats://***@host:4222/x"),
        ("postgresql://u:p@h/d and nats://token@h", "postgresql://***@h/d and nats://***@h"),
        ("nats://host:4222, a@b.example", "nats://host:4222, a@b.example"),
        ("no url", "no url"),
    ],
)
def test_credentials_in_addresses_are_hidden(text: str, expected: str):
    assert redact(text) == expected


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_log_line_holds_no_credentials(formatter: logging.Formatter):
    text = formatter.format(a_record("connected to %s", "nats://u:secret@h", database="postgresql://u:hidden@h/d"))

    assert "secret" not in text
    assert "hidden" not in text


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_configured_logging_writes_from_the_level_on(root: logging.Logger):
    stream = io.StringIO()
    configure_logging(level="WARNING", log_format="json", stream=stream)
    configure_logging(level="WARNING", log_format="text", stream=stream)

    logging.getLogger("some.part").info("quiet")
    logging.getLogger("some.part").warning("loud", extra={"n": 1})

    assert re.fullmatch(r"\S+Z WARNING some\.part  loud  n=1\n", stream.getvalue())
