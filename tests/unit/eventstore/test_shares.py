"""Who stores which partition."""

from dagwire_eventstore.shares import Shift, decide
from hypothesis import given
from hypothesis import strategies as st


def test_a_replica_that_is_alone_takes_everything():
    assert decide(partitions=4, mine=[], held=[], replicas=1) == Shift(take=(0, 1, 2, 3))


def test_a_replica_that_has_its_share_takes_no_more():
    assert decide(partitions=4, mine=[0, 1], held=[0, 1], replicas=2) == Shift()


def test_a_replica_gives_what_is_more_than_its_share_when_another_comes():
    assert decide(partitions=4, mine=[0, 1, 2, 3], held=[0, 1, 2, 3], replicas=2) == Shift(give=(2, 3))


def test_what_somebody_else_holds_is_not_taken():
    assert decide(partitions=4, mine=[], held=[0, 1], replicas=2) == Shift(take=(2, 3))


def test_more_replicas_than_partitions_stand_by():
    assert decide(partitions=1, mine=[], held=[0], replicas=3) == Shift()
    assert decide(partitions=1, mine=[0], held=[0], replicas=3) == Shift()


@given(partitions=st.integers(1, 16), replicas=st.integers(1, 20), turns=st.lists(st.integers(0, 19), min_size=60))
def test_whoever_acts_when_all_partitions_are_stored_in_the_end_and_nobody_has_much_more(
    partitions: int, replicas: int, turns: list[int]
):
    owned: list[set[int]] = [set() for _ in range(replicas)]
    owned[0] = set(range(partitions))  # the first one was alone
    for turn in [*turns, *range(replicas), *range(replicas)]:
        mine = owned[turn % replicas]
        held = set().union(*owned)
        shift = decide(partitions=partitions, mine=mine, held=held, replicas=replicas)
        mine.difference_update(shift.give)
        mine.update(shift.take)
        assert sum(map(len, owned)) == len(set().union(*owned))
    assert set().union(*owned) == set(range(partitions))
    assert max(map(len, owned)) <= -(-partitions // replicas)
