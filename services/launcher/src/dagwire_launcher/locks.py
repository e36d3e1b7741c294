"""One lock per run, so that a launch and a cancel order of the same run come one after the other. No I/O."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dagwire_shared.ids import RunId


class RunLocks:
    """Locks that exist only while somebody holds or wants them."""

    def __init__(self) -> None:
        self._locks: dict[RunId, asyncio.Lock] = {}
        self._users: Counter[RunId] = Counter()

    @asynccontextmanager
    async def holding(self, run_id: RunId) -> AsyncIterator[None]:
        """Hold the lock of a run while the context is open."""
        lock = self._locks.setdefault(run_id, asyncio.Lock())
        self._users[run_id] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[run_id] -= 1
            if not self._users[run_id]:
                del self._users[run_id], self._locks[run_id]
