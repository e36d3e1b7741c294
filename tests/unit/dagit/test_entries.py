"""The feed takes for an event what the event store takes for one, and nothing else."""

import json
from datetime import UTC, datetime

import pytest
from dagwire_dagit.entries import read_entry
from dagwire_eventstore.batch import read_batch
from dagwire_shared.bus import Delivery
from dagwire_shared.envelope import event_message
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.subjects import event_subject
from support import samples
from support.dagit import AT, a_run, line

GOOD = json.loads(line(a_run(), 1).body)
SUBJECT = event_subject(a_run(), "log")


def delivered(body: bytes, subject: str = SUBJECT) -> Delivery:
    return Delivery("DAGWIRE_EVENTS", subject, 7, datetime.now(UTC), body, {})


def changed(**changes: object) -> bytes:
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not ...}).encode()


def is_event(delivery: Delivery) -> bool:
    try:
        read_entry(1, delivery)
    except MalformedMessageError:
        return False
    return True


BODIES = {
    "good": changed(),
    "unknown type": changed(type="dagwire.log.sung"),
    "wrong payload": changed(data={"level": "LOUD"}),
    "no payload": changed(data=...),
    "payload is a list": changed(data=[1]),
    "further attributes": changed(tenant="a"),
    "white space": b"\n" + json.dumps(GOOD, indent=2).encode() + b"\r\n",
    "type of another kind": changed(type="dagwire.run.queued"),
    "no id": changed(id=...),
    "empty id": changed(id=""),
    "long id": changed(id="x" * 1001),
    "id is a number": changed(id=1),
    "id with a NUL": changed(id="a\0b"),
    "no source": changed(source=...),
    "no type": changed(type=...),
    "subject of another run": changed(subject=a_run(1)),
    "no subject": changed(subject=...),
    "other version": changed(specversion="0.3"),
    "no version": changed(specversion=...),
    "no time": changed(time=...),
    "naive time": changed(time="2026-11-01T12:00:00"),
    "no such time": changed(time="2026-13-01T12:00:00Z"),
    "time is a number": changed(time=1),
    "not a number": json.dumps({**GOOD, "data": float("nan")}).encode(),
    "a list": b"[]",
    "a word": b'"x"',
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"specversion": "\xff"}',
    "half a surrogate": changed(source="\ud800"),
    "deep": b'{"a":' * 300 + b"1" + b"}" * 300,
}
SUBJECTS = {
    "newer kind": f"dagwire.v1.event.{a_run()[0]}.{a_run()}.song",
    "wrong shard": f"dagwire.v1.event.{'0' if a_run()[0] != '0' else '1'}.{a_run()}.log",
    "no run": f"dagwire.v1.event.{a_run()[0]}.x.log",
    "too short": f"dagwire.v1.event.{a_run()[0]}.{a_run()}",
    "upper case": SUBJECT.upper(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_feed_and_store_agree_on_what_an_event_is(body: bytes):
    delivery = delivered(body)
    assert is_event(delivery) == bool(read_batch([delivery], epoch=1).rows)


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
@pytest.mark.parametrize("kind", ["dagwire.log.written", "dagwire.song.sung"])
def test_feed_and_store_agree_on_subjects(subject: str, kind: str):
    delivery = delivered(changed(type=kind), subject)
    assert is_event(delivery) == bool(read_batch([delivery], epoch=1).rows)


@pytest.mark.parametrize("event", samples.EVENTS, ids=lambda event: event.TYPE)
def test_every_known_event_is_carried_as_it_was_written(event):
    about = samples.SCHEDULE if event.KIND == "tick" else samples.RUN
    message = event_message(event, id=f"{about}:1:1", source="/test", subject=about, time=AT)
    entry = read_entry(3, delivered(message.body, message.subject))
    assert (str(entry.cursor), entry.aggregate, entry.kind, entry.id) == ("3-7", about, event.KIND, f"{about}:1:1")
    assert entry.body == message.body


def test_an_envelope_with_line_breaks_is_one_line_on_the_feed():
    entry = read_entry(1, delivered(json.dumps(GOOD, indent=2).replace("\n", "\r\n").encode()))
    assert entry.frame.count(b"\n") == 4
    assert b"\r" not in entry.frame
    assert json.loads(entry.body) == GOOD
