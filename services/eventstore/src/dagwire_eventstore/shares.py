"""Decides which partitions a replica takes and gives back, so that replicas share them evenly. No I/O.

It only spreads the work: which replica stores a partition, or whether two do, does not matter to what is stored.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shift:
    """What a replica does next."""

    take: tuple[int, ...] = ()
    give: tuple[int, ...] = ()


def decide(*, partitions: int, mine: Collection[int], held: Collection[int], replicas: int) -> Shift:
    """Return which partitions to take or to give back.

    Args:
        partitions: how many there are.
        mine: those that this replica stores.
        held: those that any replica stores.
        replicas: how many live, this one included.
    """
    # Rounded up: while some replica has fewer than its share, another one has more or a partition is free.
    share = -(-partitions // max(1, replicas))
    if len(mine) > share:
        return Shift(give=tuple(sorted(mine))[share:])
    free = [index for index in range(partitions) if index not in held and index not in mine]
    return Shift(take=tuple(free[: share - len(mine)]))
