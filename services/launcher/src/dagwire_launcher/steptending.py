"""Sees to one step worker that a run ordered: creates it, waits for its end or brings it about, and tells it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from dagwire_shared.errors import BusUnavailableError, ConflictError
from dagwire_shared.events import StepWorkerEnded

from dagwire_launcher.backend import StepBackend, WorkerDelay, WorkerEnd
from dagwire_launcher.endings import Limits
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.stependings import step_ended, step_not_started, step_refused
from dagwire_launcher.stepname import StepName, StepWorker
from dagwire_launcher.steporders import Wanted

log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 0.5
_OUTPUT_SECONDS: Final = 5.0
_LEAVE: Final = timedelta(seconds=2)
"""How long a worker may take to leave by itself after its run's end; then it is ended."""

Find = Callable[[], Wanted | None]
"""Returns what the run wants of this worker now; None: the run is over."""


class StepTending:
    """One step worker, from its order to the word of its end."""

    def __init__(
        self,
        name: StepName,
        find: Find,
        backend: StepBackend,
        ledger: Ledger,
        limits: Limits,
        clock: Callable[[], datetime],
    ) -> None:
        self._name: Final = name
        self._find = find
        self._backend = backend
        self._ledger = ledger
        self._limits = limits
        self._clock = clock
        self._worker: Final = StepWorker(name.run_id, name.worker)
        self._news = asyncio.Event()
        self._delay: WorkerDelay | None = None
        self._delays = asyncio.Event()
        self._stopping: datetime | None = None
        self._forced = False
        self._given_up: StepWorkerEnded | None = None
        self._extra: Final = {"run_id": name.run_id, "step_key": name.step_key, "worker": name.worker}

    def nudge(self) -> None:
        """Say that the run has said something."""
        self._news.set()

    async def run(self, gate: asyncio.Semaphore) -> None:
        """See to the worker until its end is told.

        Args:
            gate: lets so many workers be created at the same time.
        """
        ended = await self._create(gate) or await self._until_end()
        await tell_step_end(self._ledger, self._name, ended, self._find)
        await self._backend.release(self._worker)

    async def _create(self, gate: asyncio.Semaphore) -> StepWorkerEnded | None:
        """Create the worker, unless it is not wanted any more; return its end if it cannot be created."""
        while (wanted := self._find()) is not None and not wanted.released:
            try:
                async with gate:
                    facts = await self._ledger.facts(self._name.run_id)
                    if not facts.ended:
                        await self._backend.create(wanted.order)
                        log.info("step worker created", extra=self._extra)
            except LaunchRefusedError as error:
                return step_refused(self._name, error)
            except (BusUnavailableError, BackendUnavailableError) as error:
                log.warning("step worker is created later", extra={**self._extra, "cause": str(error)})
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                break
        return None

    async def _until_end(self) -> StepWorkerEnded:
        """Wait for the worker's end, and bring it about when it is due."""
        end = asyncio.create_task(self._backend.end_of(self._worker, delayed=self._delayed))
        telling = asyncio.create_task(self._tell_delays())
        try:
            while not end.done():
                self._news.clear()
                await self._pause(end, await self._attend())
            return self._given_up or await self._with_output(step_ended(self._name, end.result()))
        finally:
            end.cancel()
            telling.cancel()

    async def _attend(self) -> datetime | None:
        """Do what is due about a living worker, and return when to look again; None: when something happens."""
        now = self._clock()
        wanted = self._find()
        if wanted is None:
            return await self._stop(now, graceful=False, after=_LEAVE)
        if wanted.released:
            return await self._stop(now, graceful=True, after=self._limits.stop)
        if self._delay is None:
            return None
        give_up = wanted.at + self._limits.start
        if now < give_up:
            return give_up
        self._given_up = self._given_up or step_not_started(self._name, self._delay, limit=self._limits.start)
        return await self._stop(now, graceful=False, after=timedelta())

    async def _stop(self, now: datetime, *, graceful: bool, after: timedelta) -> datetime:
        """Let a worker leave, telling it to with ``graceful``, then end it; return when to look again."""
        begun, self._stopping = self._stopping is None, self._stopping or now
        force = now >= self._stopping + after
        if force or (graceful and begun):
            log.info("step worker is ended", extra={**self._extra, "force": force})
            try:
                await self._backend.stop(self._worker, force=force)
            except BackendUnavailableError as error:
                log.warning("step worker is ended later", extra={**self._extra, "cause": str(error)})
                return now + timedelta(seconds=_AGAIN_SECONDS)
        # What was told to end may be told again: a cluster may have lost it.
        return now + self._limits.stop if force else self._stopping + after

    async def _pause(self, end: asyncio.Task[WorkerEnd], again: datetime | None) -> None:
        """Wait until there is something to look at."""
        news = asyncio.create_task(self._news.wait())
        seconds = None if again is None else max(0.0, (again - self._clock()).total_seconds())
        try:
            await asyncio.wait({end, news}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()

    async def _with_output(self, event: StepWorkerEnded) -> StepWorkerEnded:
        """Add the last lines that the worker wrote. Its end is told without them rather than not at all."""
        if event.cause is None or self._find() is None:
            return event
        try:
            async with asyncio.timeout(_OUTPUT_SECONDS):
                return event.model_copy(update={"output": await self._backend.output_of(self._worker)})
        except (BackendUnavailableError, TimeoutError) as error:
            log.warning("output of a step worker cannot be read", extra={**self._extra, "cause": str(error)})
            return event

    def _delayed(self, delay: WorkerDelay | None) -> None:
        self._delay = delay
        self._delays.set()
        self._news.set()

    async def _tell_delays(self) -> None:
        """Tell what keeps the worker from running, each time that this changes."""
        while True:
            await self._delays.wait()
            self._delays.clear()
            if (delay := self._delay) is None:
                continue
            log.info("step worker delayed", extra={**self._extra, "cause": delay.cause, "detail": delay.message})
            try:
                await self._ledger.tell_delay(self._name.run_id, delay, step_key=self._name.step_key)
            except BusUnavailableError:
                await asyncio.sleep(_AGAIN_SECONDS)
                self._delays.set()


async def tell_step_end(
    ledger: Ledger, name: StepName, event: StepWorkerEnded, find: Find, *, again: bool = False
) -> None:
    """Tell a worker's end until it stands in the stream, unless another launcher has, or its run is over."""
    extra = {"run_id": name.run_id, "step_key": name.step_key, "worker": name.worker}
    while (wanted := find()) is not None and (again or wanted.ended is None):
        try:
            await ledger.tell_step_end(name.run_id, event, again=again)
        except (ConflictError, BusUnavailableError) as error:
            log.info("end of a step worker is told later", extra={**extra, "cause": str(error)})
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            log.info("step worker ended", extra={**extra, "cause": event.cause})
            return
