"""Decides what of ended runs may be removed. No I/O."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

T = TypeVar("T")


def surplus(ended: Sequence[tuple[datetime, T]], *, keep: int, since: datetime) -> list[T]:
    """Return the leftovers of ended runs that may go: all but the ``keep`` newest, and none older than ``since``."""
    newest_first = sorted(ended, key=lambda pair: pair[0], reverse=True)
    return [one for place, (at, one) in enumerate(newest_first) if place >= keep or at < since]
