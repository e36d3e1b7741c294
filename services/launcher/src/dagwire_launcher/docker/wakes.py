"""Wakes those who wait for something to happen to a run's container. No I/O."""

import asyncio
import contextlib
from collections.abc import Iterator

from dagwire_shared.ids import RunId


class Wakes:
    """One bell per waiter. Who looks after each ring, and once before, misses nothing."""

    def __init__(self) -> None:
        self._bells: dict[str, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def of(self, run_id: RunId) -> Iterator[asyncio.Event]:
        """Give a bell that rings when something happens to a run's container."""
        bell = asyncio.Event()
        self._bells.setdefault(run_id, set()).add(bell)
        try:
            yield bell
        finally:
            bells = self._bells[run_id]
            bells.discard(bell)
            if not bells:
                del self._bells[run_id]

    def ring(self, run_id: str) -> None:
        """Wake who waits for this run."""
        for bell in self._bells.get(run_id, ()):
            bell.set()

    def ring_all(self) -> None:
        """Wake everybody: nobody knows what happened meanwhile."""
        for run_id in self._bells:
            self.ring(run_id)
