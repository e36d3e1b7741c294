"""Turns deliveries into rows: reads each message once, checks what the store relies on, and sets aside the rest.

What is checked is the envelope and the subject. A payload is read only where a projection follows from it;
logs are stored as they came. No I/O.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from dagwire_shared.bus import Delivery, Message
from dagwire_shared.envelope import describe
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.events import EVENT_TYPES, AssetMaterialized, Event
from dagwire_shared.subjects import Kind, dead_subject
from pydantic import ValidationError
from pydantic_core import from_json

CAUSE_HEADER: Final = "Dagwire-Cause"
SUBJECT_HEADER: Final = "Dagwire-Subject"
SEQUENCE_HEADER: Final = "Dagwire-Sequence"

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SUBJECT_TOKENS: Final = 6
_KINDS: Final = {name: str(event.KIND) for name, event in EVENT_TYPES.items()}
_PROJECTED_KINDS: Final = frozenset({Kind.LAUNCH, Kind.RUN, Kind.STEP, Kind.TICK})
_PROJECTED_TYPES: Final = frozenset({AssetMaterialized.TYPE})
_LONGEST_WORD: Final = 1000
"""Of an id, a type, a source: an index entry of PostgreSQL holds 2,700 bytes."""
_CAUSE_LENGTH: Final = 1000


class Row(NamedTuple):
    """A row of ``events`` but for its epoch, in the order of ``queries.INSERT_EVENTS``."""

    seq: int
    aggregate: str
    id: str
    type: str
    kind: str
    source: str
    time: datetime
    step_key: str | None
    level: str | None
    envelope: str


@dataclass(frozen=True, slots=True)
class Fact:
    """An event that projections follow from, and where it stands."""

    epoch: int
    seq: int
    aggregate: str
    """The run's or the schedule's id."""
    time: datetime
    event: Event

    @property
    def place(self) -> tuple[int, int]:
        """What orders all events."""
        return (self.epoch, self.seq)


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that nobody can handle as it is, and why."""

    delivery: Delivery
    cause: str

    def message(self, epoch: int, *, with_body: bool = True) -> Message:
        """Return what the dead letters keep: the body as it came, the reason beside it."""
        delivery = self.delivery
        return Message(
            subject=dead_subject(delivery.stream),
            body=delivery.body if with_body else b"",
            id=f"{delivery.stream}:{epoch}:{delivery.sequence}",
            headers={
                CAUSE_HEADER: _printable(self.cause),
                SUBJECT_HEADER: _printable(delivery.subject),
                SEQUENCE_HEADER: str(delivery.sequence),
            },
        )


@dataclass(slots=True)
class Batch:
    """Rows in stream order, and what came with them."""

    epoch: int
    through: int
    """The stream was read up to this sequence: everything at or before it is in this batch or an earlier one."""
    rows: list[Row] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    size: int = 0
    """Bytes of the bodies."""
    deliveries: list[Delivery] = field(default_factory=list)
    """As they came, should PostgreSQL refuse one of them."""

    def extend(self, later: "Batch") -> None:
        """Append the batch that follows this one in the stream."""
        self.through = max(self.through, later.through)
        self.rows += later.rows
        self.facts += later.facts
        self.dead += later.dead
        self.size += later.size
        self.deliveries += later.deliveries


def read_batch(deliveries: Sequence[Delivery], *, epoch: int) -> Batch:
    """Read deliveries in stream order; at least one.

    A message whose envelope is unusable goes to ``dead`` and is not stored. One whose payload is not what its type
    says is stored as received and goes to ``dead`` as well, for it changes no projection (a rebuild by a release that
    understands it makes up for that). An unknown type is stored as received.
    """
    batch = Batch(epoch, deliveries[-1].sequence, deliveries=list(deliveries))
    for delivery in deliveries:
        batch.size += len(delivery.body)
        try:
            row, data = _read(delivery)
        except ValueError as error:  # MalformedMessageError, and bytes that are no UTF-8
            batch.dead.append(Dead(delivery, str(error)))
            continue
        batch.rows.append(row)
        if row.kind in _PROJECTED_KINDS or row.type in _PROJECTED_TYPES:
            try:
                fact = _fact(row, data, epoch)
            except MalformedMessageError as error:
                batch.dead.append(Dead(delivery, str(error)))
            else:
                if fact is not None:
                    batch.facts.append(fact)
    return batch


def split(batch: Batch, cause: str) -> Sequence[Batch]:
    """Return what to store instead of a batch that PostgreSQL refused: its halves, so as to find the row at fault.

    Of a single event first the projections are given up, then its row; either way it goes to the dead letters. None
    left: the fault is not in the events.
    """
    deliveries = batch.deliveries
    if len(deliveries) > 1:
        middle = len(deliveries) // 2
        return [read_batch(part, epoch=batch.epoch) for part in (deliveries[:middle], deliveries[middle:])]
    dead = [Dead(deliveries[0], f"PostgreSQL refuses it: {cause}")]
    if batch.facts:
        return [replace(batch, facts=[], dead=dead)]
    return [replace(batch, rows=[], dead=dead)] if batch.rows else []


def read_fact(*, epoch: int, seq: int, aggregate: str, time: datetime, envelope: str) -> Fact | None:
    """Read an event that was stored, for a rebuild; None: nothing follows from it."""
    value = from_json(envelope)
    known = EVENT_TYPES.get(value["type"])
    if known is None:
        return None
    try:
        return Fact(epoch, seq, aggregate, time, known.model_validate(value.get("data")))
    except ValidationError:
        return None


def _read(delivery: Delivery) -> tuple[Row, Any]:
    aggregate, kind = _read_subject(delivery.subject)
    value = _loads(delivery.body)
    data = value.get("data")
    name = _word(value, "type")
    if _KINDS.get(name, kind) != kind:
        raise MalformedMessageError(f"type {name!r} belongs on subjects of kind {_KINDS[name]!r}, not {kind!r}")
    if value.get("subject") != aggregate:
        raise MalformedMessageError(f"subject {value.get('subject')!r} is not the id in its NATS subject, {aggregate}")
    step_key = level = None
    if type(data) is dict:
        step_key, level = _text(data.get("step_key")), _text(data.get("level"))
    body = delivery.body.decode()
    time = _time(value)
    source = _word(value, "source")
    return Row(delivery.sequence, aggregate, _word(value, "id"), name, kind, source, time, step_key, level, body), data


@lru_cache(maxsize=16_384)
def _read_subject(subject: str) -> tuple[str, str]:
    """Return the aggregate's id and the kind."""
    tokens = subject.split(".")
    if len(tokens) != _SUBJECT_TOKENS or _UUID.fullmatch(tokens[4]) is None:
        raise MalformedMessageError(f"{subject!r} is not of the form dagwire.v1.event.<shard>.<id>.<kind>")
    _, _, _, shard, aggregate, kind = tokens
    if shard != aggregate[0]:
        raise MalformedMessageError(f"{subject!r} has the wrong shard: it is the id's first digit, {aggregate[0]!r}")
    return aggregate, kind


def _loads(body: bytes) -> dict[str, Any]:
    try:
        value = from_json(body, allow_inf_nan=False)  # what PostgreSQL and browsers refuse is refused here
    except ValueError as error:
        raise MalformedMessageError(f"not JSON: {error}") from error
    if type(value) is not dict:
        raise MalformedMessageError(f"not a JSON object but {type(value).__name__}")
    if value.get("specversion") != "1.0":
        raise MalformedMessageError("not a CloudEvents 1.0 envelope: specversion is not '1.0'")
    return value


def _word(value: dict[str, Any], name: str) -> str:
    word = value.get(name)
    if type(word) is not str or not 0 < len(word) <= _LONGEST_WORD or "\0" in word:
        raise MalformedMessageError(f"not a CloudEvents 1.0 envelope: {name} is not 1 to {_LONGEST_WORD} characters")
    return word


def _time(value: dict[str, Any]) -> datetime:
    text = value.get("time")
    try:
        time = datetime.fromisoformat(text)  # type: ignore[arg-type]  # what is no text is refused below
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise MalformedMessageError("not a CloudEvents 1.0 envelope: time is not an RFC 3339 time with its offset")
    return time


def _text(value: Any) -> str | None:
    return value if type(value) is str and "\0" not in value else None


def _fact(row: Row, data: Any, epoch: int) -> Fact | None:
    known = EVENT_TYPES.get(row.type)
    if known is None:
        return None
    try:
        return Fact(epoch, row.seq, row.aggregate, row.time, known.model_validate(data))
    except ValidationError as error:
        raise MalformedMessageError(f"data of {row.type} {row.id!r}: {describe(error)}") from error


def _printable(text: str) -> str:
    """Return the text as a header may hold it: one line of ASCII."""
    return " ".join(text.encode("ascii", "backslashreplace").decode().split())[:_CAUSE_LENGTH]
