"""Which of the waiting runs start now."""

import itertools

import pytest
from dagwire_launcher.queue import Queue, Waiting, read_waiting
from dagwire_shared.bus import Delivery
from dagwire_shared.commands import LaunchRun
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.ids import run_id_for
from dagwire_shared.model import utc_now
from dagwire_shared.subjects import queue_subject
from support.launching import a_request, launch_body


def waiting(sequence, priority=0):
    key = f"run {sequence}"
    order = LaunchRun(run_id=run_id_for(key), request=a_request(key), priority=priority)
    return Waiting(order, sequence, b"")


def started(runs, *, room=10):
    queue = Queue()
    for run in runs:
        queue.put(run)
    return [run.sequence for run in queue.take(room)]


def test_who_waited_longest_is_first():
    for order in itertools.permutations([waiting(1), waiting(2), waiting(3)]):
        assert started(order) == [1, 2, 3]


def test_a_higher_priority_goes_before_a_longer_wait():
    assert started([waiting(1), waiting(2, 5), waiting(3, -1), waiting(4, 5)]) == [2, 4, 1, 3]


@pytest.mark.parametrize(("room", "count"), [(-3, 0), (0, 0), (2, 2), (20, 9)])
def test_no_more_start_than_there_is_room_for(room, count):
    assert len(started([waiting(number) for number in range(9)], room=room)) == count


def test_a_run_that_is_given_back_takes_its_old_place():
    queue = Queue()
    for number in (1, 2, 3):
        queue.put(waiting(number))
    (first,) = queue.take(1)
    queue.put(first)
    assert [run.sequence for run in queue.take(3)] == [1, 2, 3]


def delivery(body, subject=None):
    subject = subject or queue_subject(run_id_for("k"))
    return Delivery("DAGWIRE_QUEUE", subject, 7, utc_now(), body, {})


def test_a_message_of_the_queue_is_kept_as_it_stands():
    body = launch_body(a_request("k"))
    run = read_waiting(delivery(body))
    assert (run.order.run_id, run.sequence, run.body) == (run_id_for("k"), 7, body)


@pytest.mark.parametrize(
    ("body", "subject"),
    [(b"no", None), (launch_body(a_request("k")), queue_subject(run_id_for("another")))],
)
def test_a_foreign_message_on_the_queue_is_malformed(body, subject):
    with pytest.raises(MalformedMessageError):
        read_waiting(delivery(body, subject))
