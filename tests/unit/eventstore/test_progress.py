"""Where reading begins."""

import pytest
from dagwire_eventstore.errors import StreamBehindError
from dagwire_eventstore.progress import Start, begin, shards_of
from dagwire_shared.bus import Position
from dagwire_shared.subjects import SHARDS


def stream(*, epoch: int = 5, first: int = 1, last: int = 100) -> Position:
    return Position(epoch=epoch, first=first, last=last)


def test_an_empty_database_begins_at_the_beginning():
    assert begin({"a": (0, 0), "b": (0, 0)}, stream()) == Start(epoch=5, after=0)


def test_reading_begins_where_the_shard_that_is_furthest_behind_stands():
    assert begin({"a": (5, 80), "b": (5, 60)}, stream()) == Start(epoch=5, after=60)


def test_a_rebuilt_stream_is_read_from_its_start():
    assert begin({"a": (4, 1000), "b": (5, 60)}, stream()) == Start(epoch=5, after=0)


def test_an_older_epoch_is_refused_and_says_what_to_do():
    with pytest.raises(StreamBehindError, match=r"has epoch 5, .* events of epoch 6: .* dagwire.epoch=7"):
        begin({"a": (6, 1), "b": (5, 60)}, stream())


def test_a_stream_that_lost_its_end_is_refused_and_says_what_to_do():
    with pytest.raises(StreamBehindError, match=r"ends at sequence 100, .* up to 101: .* dagwire.epoch=6"):
        begin({"a": (5, 101), "b": (5, 60)}, stream())


def test_events_that_expired_unstored_are_counted():
    assert begin({"a": (5, 10)}, stream(first=31)) == Start(epoch=5, after=10, expired=20)
    assert begin({"a": (5, 100)}, stream(first=101)) == Start(epoch=5, after=100)


@pytest.mark.parametrize("partitions", range(1, 17))
def test_the_partitions_cover_every_shard_once(partitions: int):
    shards = [shard for index in range(partitions) for shard in shards_of(index, of=partitions)]
    assert sorted(shards) == sorted(SHARDS)
