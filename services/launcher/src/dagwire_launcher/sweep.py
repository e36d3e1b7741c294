"""Finds runs that nobody watches any more: launched, not ended, and their worker is gone with all that told of it.

The watch is told of every end by the backend. What is found here was lost beside it: a run directory that somebody
deleted, a cluster that was restored to yesterday. It is the acting launcher's work.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dagwire_shared.bus import Delivery, Streams
from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.events import RunCanceled, RunDropped, RunFailed, RunLaunched, RunLost, RunSucceeded
from dagwire_shared.ids import RunId, check_run_id
from dagwire_shared.model import utc_now
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import Kind, kind_filter

from dagwire_launcher.backend import Backend
from dagwire_launcher.errors import BackendUnavailableError
from dagwire_launcher.watch import Watch

log = logging.getLogger(__name__)

EVERY: Final = timedelta(seconds=60)
"""How often open runs are looked at, and how old a launch must be to be looked at."""

_ENDS: Final = frozenset(one.TYPE for one in (RunSucceeded, RunFailed, RunCanceled, RunLost, RunDropped))
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that was launched and has not ended."""

    worker: str
    launched: datetime


class OpenRuns:
    """Which runs are open, from the events about runs as a whole."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._open: dict[RunId, OpenRun] = {}
        # A fast worker's last event may stand before the launcher's word that there is a worker.
        self._ended: OrderedDict[RunId, None] = OrderedDict()

    def note(self, delivery: Delivery) -> None:
        """Take in one event."""
        try:
            event = json.loads(delivery.body)
            run_id, type_ = check_run_id(event["subject"]), event["type"]
            if type_ in _ENDS:
                self._open.pop(run_id, None)
                self._ended[run_id] = None
                if len(self._ended) > _REMEMBERED:
                    self._ended.popitem(last=False)
            elif type_ == RunLaunched.TYPE and run_id not in self._ended and event["data"]["backend"] == self._backend:
                self._open[run_id] = OpenRun(event["data"]["worker"], delivery.time)
        except (ValueError, KeyError, TypeError, InvalidIdentifierError):
            log.warning("event is not readable", extra={"sequence": delivery.sequence})

    def launched_before(self, time: datetime) -> dict[RunId, OpenRun]:
        """Return the open runs that were launched before a time."""
        return {run_id: run for run_id, run in self._open.items() if run.launched < time}


class Sweep:
    """Ends runs that nobody watches."""

    def __init__(
        self,
        streams: Streams,
        backend: Backend,
        *,
        every: timedelta = EVERY,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._streams = streams
        self._backend = backend
        self._every = every
        self._clock = clock

    async def run(self, watch: Watch) -> None:
        """Look for such runs again and again, without end."""
        runs = OpenRuns(self._backend.name)
        read = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(runs, read))
            await read.wait()
            while True:
                await self._look(runs, watch)
                await asyncio.sleep(self._every.total_seconds())

    async def _follow(self, runs: OpenRuns, read: asyncio.Event) -> None:
        async for batch in self._streams.follow(EVENTS, subjects=[kind_filter(Kind.LAUNCH), kind_filter(Kind.RUN)]):
            for delivery in batch.deliveries:
                runs.note(delivery)
            if batch.caught_up:
                read.set()

    async def _look(self, runs: OpenRuns, watch: Watch) -> None:
        for run_id, run in runs.launched_before(self._clock() - self._every).items():
            if watch.knows(run_id):
                continue
            try:
                gone = await self._backend.is_gone(run_id, run.worker)
            except BackendUnavailableError as error:
                log.warning("runs are looked at later", extra={"cause": str(error)})
                return
            if gone:
                log.warning("run is nobody's", extra={"run_id": run_id, "worker": run.worker})
                watch.give_up(run_id)
