"""The time, and waiting for a point in it. Knows no schedules.

A wait ends by the clock on the wall, whatever happens to it meanwhile: set forward or back, or stopped with
the machine. Between two looks at the clock nothing is woken.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from dagwire_shared.model import utc_now

_log: Final = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0
"""How often the wall clock is compared with the monotonic one: a jump is noticed this late at most."""
_DRIFT_SECONDS: Final = 0.05
_JUMP_SECONDS: Final = 1.0


class Clock(Protocol):
    """What tells the time."""

    listeners: set[Callable[[], None]]
    """Called when the time has jumped: whoever waits for a point in it has to look again."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        ...

    async def wait(self, event: asyncio.Event, until: datetime) -> None:
        """Return when the event is set, or at ``until``, by the time as it was at the beginning of the call."""
        ...


class SystemClock:
    """The machine's clock, less what it is known to be ahead of the bus. Jumps are noticed while ``run`` runs."""

    def __init__(
        self, *, wall: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.listeners: set[Callable[[], None]] = set()
        self._wall = wall
        self._monotonic = monotonic
        self._lead = timedelta()

    @property
    def lead(self) -> timedelta:
        """How far the machine's clock is ahead; ``now`` is without it, so that no tick comes early."""
        return self._lead

    @lead.setter
    def lead(self, lead: timedelta) -> None:
        if lead != self._lead:
            self._lead = lead
            self._jumped()

    def now(self) -> datetime:
        """Return the time."""
        return self._wall() - self._lead

    async def wait(self, event: asyncio.Event, until: datetime) -> None:
        """Return when the event is set, or at ``until``."""
        left = (until - self.now()).total_seconds()
        if left > 0 and not event.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await event.wait()

    async def run(self) -> None:
        """Look for jumps of the wall clock until cancelled."""
        base = self._drift()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            drift = self._drift()
            if abs(drift - base) > _DRIFT_SECONDS:
                if abs(drift - base) > _JUMP_SECONDS:
                    _log.warning("clock has jumped", extra={"seconds": round(drift - base, 3)})
                base = drift
                self._jumped()

    def _drift(self) -> float:
        return self._wall().timestamp() - self._monotonic()

    def _jumped(self) -> None:
        for listener in tuple(self.listeners):
            listener()
