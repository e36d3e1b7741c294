"""PostgreSQL's advisory locks that the event store takes, by number. They belong to a session and end with it."""

from typing import Final

FAMILY: Final = 1_145_133_394
"""The first key of all of them, so that they meet nobody else's in a shared database."""
MIGRATION: Final = 0
"""Held while the tables are brought up to date."""
MEMBER: Final = 1
"""Held, shared, by each replica while it lives: how many there are is how many hold it."""
_FIRST_PARTITION: Final = 100


def partition_lock(index: int, *, of: int) -> int:
    """Return the lock of a partition: held by the one replica that reads it. Each number of partitions has its own."""
    return _FIRST_PARTITION * of + index
