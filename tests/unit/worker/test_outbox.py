"""The outbox: order, numbers, and where events wait."""

import json
import re
import threading
from datetime import UTC, datetime

import pytest
from dagwire.worker.outbox import BATCH, Outbox, number_of
from dagwire.worker.sizes import LARGEST_EVENT
from dagwire.worker.spool import Spool
from dagwire_shared.envelope import decode
from dagwire_shared.events import (
    AssetMaterialized,
    ErrorInfo,
    LogWritten,
    Metadata,
    PlannedStep,
    RunFailed,
    RunPlanned,
    RunSucceeded,
    StepFailed,
    StepStarted,
)
from dagwire_shared.ids import run_id_for

RUN = run_id_for("k")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SMALL = 2_000
END = RunSucceeded(seconds=1)


def line(text):
    return LogWritten(level="INFO", message=str(text))


def an_outbox(tmp_path, *, memory=8 * 1024 * 1024, disk=10_000_000, **fields):
    spool = Spool(tmp_path / "spool", limit_bytes=disk, segment_bytes=1_000)
    return Outbox(RUN, spool, memory_bytes=memory, clock=lambda: NOON, **fields)


def drained(outbox):
    """All that comes out, as a sender takes it."""
    found = []
    while batch := outbox.next_batch():
        found += batch
        outbox.acknowledge()
    return found


def texts(messages):
    return [decode(one.body).data["message"] for one in messages]


def numbers(messages):
    return [number_of(one.id) for one in messages]


def test_events_come_out_as_they_went_in_numbered_from_one(tmp_path):
    outbox = an_outbox(tmp_path)
    for number in range(5):
        assert outbox.offer(line(number))
    messages = drained(outbox)
    assert texts(messages) == ["0", "1", "2", "3", "4"]
    assert [json.loads(one.body)["id"] for one in messages] == [f"{RUN}:1:{number}" for number in range(1, 6)]
    words = {one.id.removesuffix(f":{RUN}:1:{number}") for number, one in enumerate(messages, start=1)}
    assert len(words) == 1  # of this process, so that a re-send is known; and no other run can guess it
    assert re.fullmatch("[0-9a-f]{16}", words.pop())


def test_an_event_carries_who_when_and_the_trace(tmp_path):
    outbox = an_outbox(tmp_path, traceparent="00-aa-bb-01")
    outbox.offer(StepStarted(step_key="load", pid=1))
    (message,) = drained(outbox)
    envelope = decode(message.body)
    assert message.subject == f"dagwire.v1.event.{RUN[0]}.{RUN}.step"
    assert (envelope.source, envelope.time, envelope.subject) == ("/dagwire/run-worker", NOON, RUN)
    assert envelope.traceparent == "00-aa-bb-01"


def test_a_batch_is_the_same_until_it_is_acknowledged(tmp_path):
    outbox = an_outbox(tmp_path)
    outbox.offer(line(1))
    first = outbox.next_batch()
    outbox.offer(line(2))
    assert outbox.next_batch() == first
    assert outbox.waiting == 2
    outbox.acknowledge()
    assert texts(outbox.next_batch()) == ["2"]


def test_a_batch_has_its_limit(tmp_path):
    outbox = an_outbox(tmp_path)
    for number in range(BATCH + 1):
        outbox.offer(line(number))
    assert len(outbox.next_batch()) == BATCH
    assert outbox.urgent is False
    outbox.acknowledge()
    assert len(outbox.next_batch()) == 1


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_what_memory_cannot_hold_waits_on_disk_in_order(tmp_path, taken, monkeypatch):
    monkeypatch.setattr("dagwire.worker.outbox.BATCH", 5)
    outbox = an_outbox(tmp_path, memory=SMALL)
    for number in range(100):
        outbox.offer(line(number))
    assert list((tmp_path / "spool").iterdir())
    found = []
    for number in range(taken):  # a sender at work meanwhile
        found += outbox.next_batch()
        outbox.acknowledge()
        outbox.offer(line(100 + number))
    found += drained(outbox)
    assert texts(found) == [str(number) for number in range(100 + taken)]
    assert numbers(found) == list(range(1, 101 + taken))
    assert not list((tmp_path / "spool").iterdir())


def test_a_full_disk_holds_the_run_and_says_so_once(tmp_path, monkeypatch):
    monkeypatch.setattr("dagwire.worker.outbox.BATCH", 1)
    outbox = an_outbox(tmp_path, memory=SMALL, disk=SMALL)
    accepted = 0
    while outbox.offer(line(accepted)):
        accepted += 1
    assert not outbox.offer(line(accepted))
    assert not outbox.offer(line(accepted))
    found = []
    while not outbox.offer(line(accepted)):
        found += outbox.next_batch()
        outbox.acknowledge()
    found += drained(outbox)
    said = [decode(one.body) for one in found]
    lines = [one.data["message"] for one in said if one.type == "dagwire.log.written"]
    assert lines == [str(number) for number in range(accepted + 1)]
    (held,) = [one for one in said if one.type == "dagwire.engine.noted"]
    assert "held" in held.data["message"]
    assert held.data["level"] == "WARNING"
    assert numbers(found) == list(range(1, len(found) + 1))


def test_a_run_that_ends_is_held_no_more(tmp_path):
    outbox = an_outbox(tmp_path, memory=SMALL, disk=0)
    while outbox.offer(line("x")):
        pass
    outbox.lift_limits()
    assert outbox.offer(line("last"))
    outbox.finish(END)
    found = drained(outbox)
    assert decode(found[-1].body).type == "dagwire.run.succeeded"
    assert numbers(found) == list(range(1, len(found) + 1))


def test_what_is_said_after_the_end_is_not_kept(tmp_path):
    outbox = an_outbox(tmp_path)
    outbox.finish(END)
    assert outbox.offer(line("too late"))
    assert [decode(one.body).type for one in drained(outbox)] == [END.TYPE]
    assert outbox.drained


def test_a_disk_that_fails_holds_the_run_too(tmp_path):
    (tmp_path / "spool").write_text("in the way")
    outbox = an_outbox(tmp_path, memory=SMALL)
    while outbox.offer(line("x")):
        pass
    assert "cannot be written" in decode(drained(outbox)[-1].body).data["message"]


def test_the_sender_is_told_of_a_first_event_and_of_a_full_batch_and_of_the_end(tmp_path):
    outbox = an_outbox(tmp_path)
    pokes = []
    outbox.connect(lambda: pokes.append(outbox._next))
    for number in range(BATCH + 10):
        outbox.offer(line(number))
    outbox.finish(END)
    assert len(pokes) == 3


def test_a_closed_outbox_is_drained_when_all_is_acknowledged(tmp_path):
    outbox = an_outbox(tmp_path)
    outbox.offer(line(1))
    outbox.finish(END)
    assert outbox.urgent
    outbox.next_batch()
    assert not outbox.drained
    outbox.acknowledge()
    assert outbox.drained


def test_threads_that_speak_at_once_share_one_count(tmp_path):
    outbox = an_outbox(tmp_path, memory=50_000)

    def speak(name):
        for number in range(200):
            assert outbox.offer(line(f"{name} {number}"))

    threads = [threading.Thread(target=speak, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = drained(outbox)
    assert numbers(found) == list(range(1, 801))
    for name in range(4):
        mine = [text for text in texts(found) if text.startswith(f"{name} ")]
        assert mine == [f"{name} {number}" for number in range(200)]


HUGE = "x" * (LARGEST_EVENT + 1)
CAUSE = ErrorInfo(type="F", message=HUGE, stack=["frame " * 1000] * 500)


@pytest.mark.parametrize(
    "event",
    [
        line(HUGE),
        LogWritten(level="INFO", message="m", fields={"a": HUGE}),
        line("\x01" * LARGEST_EVENT),
        StepFailed(step_key="a", seconds=1, error=ErrorInfo(type="E", message=HUGE, cause=CAUSE)),
        RunFailed(cause="run_error", message=HUGE, seconds=1, error=CAUSE),
        AssetMaterialized(step_key="a", asset_key=["a"], metadata={"a": Metadata(kind="text", value=HUGE)}),
        RunPlanned(executor="in_process", steps=[PlannedStep(key="a")], run_config={"a": HUGE}),
    ],
    ids=lambda event: event.TYPE,
)  # fmt: skip
def test_an_event_that_is_too_large_is_cut_and_keeps_its_type(tmp_path, event):
    outbox = an_outbox(tmp_path)
    assert outbox.offer(event)
    (message,) = drained(outbox)
    assert len(message.body) <= LARGEST_EVENT
    assert decode(message.body).type == event.TYPE
    assert decode(message.body).event is not None


def test_an_event_that_cannot_be_cut_leaves_a_note(tmp_path):
    outbox = an_outbox(tmp_path)
    steps = [PlannedStep(key=f"a{'b' * 60}{number}"[:63]) for number in range(20_000)]
    assert outbox.offer(RunPlanned(executor="in_process", steps=steps))
    (message,) = drained(outbox)
    note = json.loads(message.body)
    assert note["type"] == "dagwire.engine.noted"
    assert "dagwire.run.planned" in note["data"]["message"]
    assert note["id"] == f"{RUN}:1:1"
