"""Reads deliveries of the events stream into ring entries, each once for all clients. No I/O.

What is no event here is none to the event store either (``tests/unit/dagit/test_entries.py`` compares the two),
so that the feed and the history hold the same.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from dagwire_shared.bus import Delivery
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.events import EVENT_TYPES
from pydantic_core import from_json

from dagwire_dagit.cursors import Cursor
from dagwire_dagit.frames import body_of, event_frame

_SUBJECT: Final = re.compile(
    r"dagwire\.v1\.event\.([0-9a-f])\.(\1[0-9a-f]{7}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([^.]+)"
)
_KINDS: Final = {name: str(event.KIND) for name, event in EVENT_TYPES.items()}
_LONGEST_WORD: Final = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the ring."""

    cursor: Cursor
    aggregate: str
    """The run's or the schedule's id."""
    kind: str
    """One of ``subjects.Kind``, or what a newer writer knows."""
    id: str
    """The producer's id: the same event counts once."""
    frame: bytes
    """As it goes to every client."""

    @property
    def body(self) -> bytes:
        """The envelope, JSON."""
        return body_of(self.frame)


def read_entry(epoch: int, delivery: Delivery) -> Entry:
    """Return the event that a delivery holds.

    Raises:
        MalformedMessageError: it holds none.
    """
    aggregate, kind = _read_subject(delivery.subject)
    try:
        envelope = from_json(delivery.body, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedMessageError(f"not JSON: {error}") from error
    if type(envelope) is not dict or envelope.get("specversion") != "1.0" or envelope.get("subject") != aggregate:
        raise MalformedMessageError("not a CloudEvents 1.0 envelope about the id in its NATS subject")
    if _KINDS.get(_word(envelope, "type"), kind) != kind:
        raise MalformedMessageError(f"type {envelope['type']!r} does not belong on subjects of kind {kind!r}")
    _word(envelope, "source")
    _check_time(envelope)
    cursor = Cursor(epoch, delivery.sequence)
    return Entry(cursor, aggregate, kind, _word(envelope, "id"), event_frame(cursor, delivery.body))


@lru_cache(maxsize=16_384)
def _read_subject(subject: str) -> tuple[str, str]:
    match = _SUBJECT.fullmatch(subject)
    if match is None:
        raise MalformedMessageError(f"{subject!r} is not of the form dagwire.v1.event.<shard>.<id>.<kind>")
    return match[2], match[3]


def _word(envelope: dict[str, Any], name: str) -> str:
    word = envelope.get(name)
    if type(word) is not str or not 0 < len(word) <= _LONGEST_WORD or "\0" in word:
        raise MalformedMessageError(f"{name} is not 1 to {_LONGEST_WORD} characters")
    return word


def _check_time(envelope: dict[str, Any]) -> None:
    try:
        aware = datetime.fromisoformat(envelope["time"]).tzinfo is not None
    except (KeyError, TypeError, ValueError):
        aware = False
    if not aware:
        raise MalformedMessageError("time is not an RFC 3339 time with its offset")
