"""What becomes of a message before anything is stored."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from dagwire_eventstore.batch import Batch, read_batch, read_fact, split
from dagwire_shared.bus import Delivery, Message
from dagwire_shared.events import EVENT_TYPES, AssetMaterialized, LogWritten, RunStarted, StepStarted
from dagwire_shared.ids import run_id_for
from dagwire_shared.subjects import Kind, event_subject
from support import samples
from support.eventstore import message

RUN = run_id_for("run")


def delivery(sent: Message, *, sequence: int = 1, subject: str | None = None, body: bytes | None = None) -> Delivery:
    return Delivery(
        stream="DAGWIRE_EVENTS",
        subject=subject or sent.subject,
        sequence=sequence,
        time=datetime(2026, 11, 1, tzinfo=UTC),
        body=sent.body if body is None else body,
        headers={},
    )


def read(sent: Message, **changes: Any) -> Batch:
    return read_batch([delivery(sent, **changes)], epoch=7)


A_LINE = message(LogWritten(level="WARNING", message="slow", step_key="load"), number=4)
STARTED = message(RunStarted(worker="w", host="h", pid=1))


def _with(sent: Message, **attributes: Any) -> bytes:
    value = {**json.loads(sent.body), **attributes}
    return json.dumps({name: given for name, given in value.items() if given is not ...}).encode()


def test_the_attributes_of_a_log_line_become_columns_and_its_body_stays_as_it_came():
    (row,) = read(A_LINE, sequence=42).rows
    assert (row.seq, row.aggregate, row.id, row.type, row.kind) == (42, RUN, f"{RUN}:1:4", LogWritten.TYPE, "log")
    assert (row.source, row.step_key, row.level) == ("/dagwire/run-worker", "load", "WARNING")
    assert row.time.tzinfo is not None
    assert row.envelope.encode() == A_LINE.body


def test_a_log_line_is_not_looked_into():
    batch = read(A_LINE, body=_with(A_LINE, data={"level": 3, "message": None}))
    assert not batch.facts
    assert not batch.dead
    assert batch.rows[0].level is None


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_event_type_is_stored_and_read_where_something_follows_from_it(name: str):
    event = next(sample for sample in samples.EVENTS if name == sample.TYPE)
    batch = read(message(event, aggregate=RUN))
    projected = event.KIND in {Kind.LAUNCH, Kind.RUN, Kind.STEP, Kind.TICK} or isinstance(event, AssetMaterialized)
    assert len(batch.rows) == 1
    assert [fact.event for fact in batch.facts] == ([event] if projected else [])
    assert not batch.dead


def test_facts_say_where_they_stand():
    (fact,) = read(STARTED, sequence=9).facts
    assert fact.place == (7, 9)
    assert fact.aggregate == RUN


def test_a_type_of_a_later_version_is_stored_as_it_came():
    batch = read(STARTED, body=_with(STARTED, type="dagwire.run.teleported", data={"to": "mars"}))
    assert [row.type for row in batch.rows] == ["dagwire.run.teleported"]
    assert not batch.facts
    assert not batch.dead


def test_a_payload_that_is_not_what_its_type_says_is_stored_and_also_buried():
    batch = read(STARTED, body=_with(STARTED, data={"worker": "w"}))
    assert len(batch.rows) == 1
    assert not batch.facts
    assert "host: Field required; pid: Field required" in batch.dead[0].cause


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "not a JSON object but list"),
        (_with(STARTED).replace(b'"pid": 1', b'"pid": NaN'), "not JSON"),
        (_with(STARTED, specversion="2.0"), "specversion"),
        (_with(STARTED, id=...), "id is not 1 to 1000 characters"),
        (_with(STARTED, id=""), "id is not"),
        (_with(STARTED, id="x" * 1001), "id is not"),
        (_with(STARTED, id="a\0b"), "id is not"),
        (_with(STARTED, type=None), "type is not"),
        (_with(STARTED, source=5), "source is not"),
        (_with(STARTED, time="yesterday"), "time is not an RFC 3339 time"),
        (_with(STARTED, time="2026-11-01T12:00:00"), "time is not an RFC 3339 time"),
        (_with(STARTED, time=12), "time is not an RFC 3339 time"),
        (_with(STARTED, subject=run_id_for("other")), "is not the id in its NATS subject"),
    ],
)
def test_an_unusable_envelope_is_buried_with_its_cause_and_not_stored(body: bytes, cause: str):
    batch = read(STARTED, body=body, sequence=5)
    assert not batch.rows
    assert cause in batch.dead[0].cause
    assert batch.through == 5


@pytest.mark.parametrize(
    ("subject", "cause"),
    [
        (f"dagwire.v1.event.{RUN[0]}.not-an-id.run", "is not of the form"),
        (f"dagwire.v1.event.{RUN[0]}.{RUN}", "is not of the form"),
        (f"dagwire.v1.event.{'0' if RUN[0] != '0' else '1'}.{RUN}.run", "wrong shard"),
        (event_subject(RUN, Kind.LOG), "belongs on subjects of kind 'run', not 'log'"),
    ],
)
def test_an_event_on_a_subject_that_is_not_its_own_is_buried(subject: str, cause: str):
    batch = read(STARTED, subject=subject)
    assert not batch.rows
    assert cause in batch.dead[0].cause


def test_one_bad_message_holds_up_no_other():
    batch = read_batch(
        [delivery(A_LINE, sequence=1), delivery(A_LINE, sequence=2, body=b"?"), delivery(STARTED, sequence=3)], epoch=1
    )
    assert [row.seq for row in batch.rows] == [1, 3]
    assert [dead.delivery.sequence for dead in batch.dead] == [2]
    assert batch.through == 3


def test_a_dead_letter_holds_the_body_as_it_came_and_says_why():
    (dead,) = read(STARTED, body=b"?\xff", sequence=5).dead
    letter = dead.message(7)
    assert letter.subject == "dagwire.v1.dead.DAGWIRE_EVENTS"
    assert letter.body == b"?\xff"
    assert letter.id == "DAGWIRE_EVENTS:7:5"
    assert letter.headers["Dagwire-Cause"].startswith("not JSON")
    assert letter.headers["Dagwire-Subject"] == STARTED.subject
    assert letter.headers["Dagwire-Sequence"] == "5"


def test_a_cause_fits_into_a_header_whatever_it_quotes():
    letter = read(STARTED, body=_with(STARTED, subject="é\r\n" + "x" * 5000)).dead[0].message(7)
    cause = letter.headers["Dagwire-Cause"]
    assert cause.isascii()
    assert cause.isprintable()
    assert len(cause) <= 1000


def test_batches_join_in_order():
    first, second = read(A_LINE, sequence=1), read(STARTED, sequence=2)
    size = first.size + second.size
    first.extend(second)
    assert [row.seq for row in first.rows] == [1, 2]
    assert (first.through, first.size, len(first.deliveries), len(first.facts)) == (2, size, 2, 1)


def test_a_refused_batch_is_halved_until_the_event_at_fault_is_alone():
    batch = read_batch([delivery(A_LINE, sequence=number) for number in range(1, 6)], epoch=1)
    halves = split(batch, "no")
    assert [[row.seq for row in half.rows] for half in halves] == [[1, 2], [3, 4, 5]]
    assert [half.through for half in halves] == [2, 5]


def test_of_a_refused_event_first_its_projection_then_its_row_is_given_up():
    (without_facts,) = split(read(message(StepStarted(step_key="load", pid=1))), "no")
    assert (len(without_facts.rows), without_facts.facts) == (1, [])
    assert without_facts.dead[0].cause == "PostgreSQL refuses it: no"
    (without_row,) = split(without_facts, "still no")
    assert not without_row.rows
    assert not split(without_row, "no row, and no")


def test_a_stored_event_reads_as_it_did_when_it_came():
    (fact,) = read(STARTED, sequence=3).facts
    (row,) = read(STARTED, sequence=3).rows
    again = read_fact(epoch=7, seq=3, aggregate=row.aggregate, time=row.time, envelope=row.envelope)
    assert again == fact


def test_a_stored_event_that_nobody_understands_changes_nothing():
    for attributes in ({"type": "dagwire.run.teleported"}, {"data": {}}):
        envelope = _with(STARTED, **attributes).decode()
        assert read_fact(epoch=1, seq=1, aggregate=RUN, time=samples.AT, envelope=envelope) is None
