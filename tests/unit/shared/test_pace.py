"""When a series is published as a batch."""

import pytest
from dagwire_shared.jetstream.pace import Pace


def smallest_batch(pace: Pace) -> int:
    return next(count for count in range(1, 10_000) if Pace(single=pace.single, batch=pace.batch).prefers_batch(count))


def test_a_long_series_is_a_batch_and_a_short_one_is_not():
    assert Pace().prefers_batch(500)
    assert not Pace().prefers_batch(5)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_or_two_messages_are_never_a_batch(count: int):
    assert not Pace(single=1, batch=0.0001).prefers_batch(count)


def test_slow_single_messages_make_smaller_batches():
    pace = Pace()
    before = smallest_batch(pace)
    for _ in range(20):
        pace.note_singles(10, 10 * 0.001)

    assert smallest_batch(pace) < before / 2


def test_slow_batches_make_larger_ones():
    pace = Pace()
    before = smallest_batch(pace)
    for _ in range(20):
        pace.note_batch(100, 0.025)

    assert smallest_batch(pace) > 3 * before


def test_one_stall_does_not_decide():
    pace = Pace()
    before = smallest_batch(pace)
    pace.note_batch(100, 7.0)

    assert smallest_batch(pace) <= 2 * before


def test_a_batch_is_tried_again_after_a_while():
    pace = Pace(single=0.0003, batch=0.1)

    assert any(pace.prefers_batch(40) for _ in range(200))
