import itertools

import pytest
from dagwire_dagit.cursors import Cursor
from dagwire_dagit.entries import Entry
from dagwire_dagit.frames import event_frame
from dagwire_dagit.recent import recent_run
from dagwire_shared import events
from dagwire_shared.envelope import event_message
from support import samples
from support.dagit import AT, a_run, line, queued

BY = events.RequestedBy(kind="ui")
LOST = events.RunLost(cause=events.FailureCause.WORKER_LOST, message="killed")
LAUNCHED = events.RunLaunched(backend="process", worker="1")
STARTED = events.RunStarted(worker="w", host="h", pid=1)
CANCELING = events.RunCanceling(requested_by=BY)


def told(*what: events.Event):
    numbers = itertools.count(1)
    messages = [queued(a_run()), line(a_run(), 0)]
    messages += [event_message(one, id=f"{next(numbers)}", source="/test", subject=a_run(), time=AT) for one in what]
    entries = []
    for sequence, message in enumerate(messages, 1):
        cursor = Cursor(1, sequence)
        kind = message.subject.rpartition(".")[2]
        entries.append(Entry(cursor, a_run(), kind, message.id, event_frame(cursor, message.body)))
    return recent_run(entries)


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ([], "QUEUED"),
        ([LAUNCHED], "STARTING"),
        ([LAUNCHED, STARTED], "STARTED"),
        ([STARTED, CANCELING], "CANCELING"),
        ([CANCELING, STARTED], "CANCELING"),
        ([STARTED, events.RunSucceeded(seconds=1)], "SUCCESS"),
        ([STARTED, events.RunFailed(cause=LOST.cause, message="m", seconds=1)], "FAILURE"),
        ([LOST], "FAILURE"),
        ([CANCELING, events.RunDropped(requested_by=BY)], "CANCELED"),
        ([STARTED, CANCELING, events.RunCanceled(message="m", seconds=1)], "CANCELED"),
        ([events.RunSucceeded(seconds=1), LOST], "SUCCESS"),
        ([LOST, STARTED], "FAILURE"),
    ],
)
def test_a_run_is_where_its_events_say(what: list, status: str):
    assert told(*what).status == status


def test_a_lost_run_says_why():
    run = told(LOST)
    assert (run.cause, run.message, run.ended_at) == ("worker_lost", "killed", AT)


def test_of_nothing_or_half_a_run_nothing_is_told():
    assert recent_run([]) is None
    cursor = Cursor(1, 1)
    message = event_message(STARTED, id="1", source="/test", subject=a_run(), time=AT)
    assert recent_run([Entry(cursor, a_run(), "run", "1", event_frame(cursor, message.body))]) is None


@pytest.mark.parametrize("event", [one for one in samples.EVENTS if one.KIND in {"run", "launch"}])
def test_every_event_of_a_run_is_understood(event):
    assert told(event).run_id == a_run()
