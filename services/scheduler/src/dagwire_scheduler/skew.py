"""Compares this machine's clock with the bus server's, and keeps ticks from coming early on a clock that is ahead.

A value written to the bucket comes back with the time at which the server stored it, which lies between the
writing and the reading. Outside of that, the clocks differ for certain.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from dagwire_shared.bus import State
from dagwire_shared.errors import BusError
from dagwire_shared.model import utc_now

from dagwire_scheduler.clock import SystemClock

_log: Final = logging.getLogger(__name__)

KEY: Final = "scheduler.clock"
TOLERANCE: Final = timedelta(seconds=2)
INTERVAL_SECONDS: Final = 60.0
_TRIES: Final = 3


def ahead(*, written: datetime, stored: datetime, read: datetime) -> timedelta:
    """Return how far this clock is ahead of the server's at least; negative: behind; zero: it may be right."""
    if written > stored:
        return written - stored
    if stored > read:
        return read - stored
    return timedelta()


async def measure(state: State, now: Callable[[], datetime]) -> timedelta | None:
    """Return how far this clock is ahead; None: another replica wrote in between, or the server does not tell."""
    written = now()
    revision = await state.put(KEY, b"{}")
    entry = await state.get(KEY)
    read = now()
    if entry is None or entry.revision != revision or entry.time is None:
        return None
    return ahead(written=written, stored=entry.time, read=read)


async def watch_skew(state: State, clock: SystemClock, *, now: Callable[[], datetime] = utc_now) -> None:
    """Compare now and then, until cancelled."""
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        await compare(state, clock, now=now)


async def compare(state: State, clock: SystemClock, *, now: Callable[[], datetime] = utc_now) -> None:
    """Measure how far this clock is ahead, and have it taken into account if that is beyond what is tolerated."""
    try:
        lead = None
        for _ in range(_TRIES):
            lead = await measure(state, now)
            if lead is not None:
                break
    except BusError as error:
        _log.warning("clock was not compared", extra={"cause": str(error)})
        return
    if lead is None:
        return
    if abs(lead) > TOLERANCE:
        way = "ahead of" if lead > timedelta() else "behind"
        _log.error("clock is wrong: %s the bus server's", way, extra={"seconds": round(lead.total_seconds(), 3)})
    clock.lead = lead if lead > TOLERANCE else timedelta()
