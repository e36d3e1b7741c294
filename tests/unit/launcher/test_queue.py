"""Which of the waiting runs start now."""

import itertools

import pytest
from dagwire_launcher.queue import Waiting, next_to_start, read_waiting
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


def started(runs, *, occupied=0, limit=10):
    return [run.sequence for run in next_to_start(runs, occupied=occupied, limit=limit)]


def test_who_waited_longest_is_first():
    for order in itertools.permutations([waiting(1), waiting(2), waiting(3)]):
        assert started(order) == [1, 2, 3]


def test_a_higher_priority_goes_before_a_longer_wait():
    assert started([waiting(1), waiting(2, 5), waiting(3, -1), waiting(4, 5)]) == [2, 4, 1, 3]


@pytest.mark.parametrize(("occupied", "limit", "count"), [(0, 2, 2), (1, 2, 1), (2, 2, 0), (5, 2, 0), (0, 0, 0)])
def test_no_more_start_than_the_limit_leaves_room_for(occupied, limit, count):
    assert len(started([waiting(number) for number in range(9)], occupied=occupied, limit=limit)) == count


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
