"""Watches over workers: ends those whose time is up, and says what became of a run whose worker did not.

It does so for every worker that this launcher created or found, whether it is the acting launcher or not.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final

from dagwire_shared.errors import BusUnavailableError, ConflictError
from dagwire_shared.events import RunLost
from dagwire_shared.ids import RunId
from dagwire_shared.model import utc_now

from dagwire_launcher.backend import Backend, Worker, WorkerDelay, WorkerEnd
from dagwire_launcher.endings import Act, Doubt, Limits, attend, verdict
from dagwire_launcher.errors import BackendUnavailableError
from dagwire_launcher.ledger import Ledger

log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 0.5
"""Between two tries when the bus or the backend is away, or a last word may still be on its way."""


_OUTPUT_SECONDS: Final = 5.0


class Watch:
    """The workers that this launcher answers for."""

    def __init__(
        self,
        backend: Backend,
        ledger: Ledger,
        limits: Limits,
        *,
        freed: Callable[[], None],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._backend = backend
        self._ledger = ledger
        self._limits = limits
        self._freed = freed
        self._clock = clock
        self._living: set[RunId] = set()
        self._nudges: dict[RunId, asyncio.Event] = {}
        self._delays: dict[RunId, WorkerDelay] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def living(self) -> AbstractSet[RunId]:
        """The runs whose worker lives: these take up the limit."""
        return self._living

    async def find(self) -> None:
        """Take over every worker that is there already: from before a restart, or of a launcher that is gone.

        Raises:
            BackendUnavailableError: the backend could not be asked.
        """
        for worker in await self._backend.workers():
            if worker.run_id not in self._nudges:
                log.info("worker found", extra={"run_id": worker.run_id, "worker": worker.name})
            self.add(worker, look=True)

    def add(self, worker: Worker, *, look: bool = False) -> None:
        """Watch over a worker from now on; with ``look`` nothing is known of its run yet."""
        if worker.run_id in self._nudges:
            return
        nudge = asyncio.Event()
        if look:
            nudge.set()
        self._nudges[worker.run_id] = nudge
        self._living.add(worker.run_id)
        self._begin(self._attend(worker, nudge))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: what is worth telling was logged

    def knows(self, run_id: RunId) -> bool:
        """Return whether the run's worker is watched, or its end is being told."""
        return run_id in self._nudges

    def give_up(self, run_id: RunId) -> None:
        """Tell the end of a run whose worker is gone without a trace."""
        self._nudges[run_id] = asyncio.Event()
        self._begin(self._settle_alone(run_id))

    async def _settle_alone(self, run_id: RunId) -> None:
        try:
            await self._settle(run_id, WorkerEnd(reason="Nothing is left of it."), ended=self._clock())
        except Exception:  # found again in a while
            log.exception("end of a run is not told", extra={"run_id": run_id})
        finally:
            self._nudges.pop(run_id, None)

    def nudge(self, run_id: RunId) -> None:
        """Say that something about a run has changed."""
        if run_id in self._nudges:
            self._nudges[run_id].set()

    async def close(self) -> None:
        """Stop watching; the workers live on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def end_all(self, *, within: float) -> None:
        """Tell every worker to end, and return when all have, or after ``within`` seconds."""
        for run_id in tuple(self._living):
            await self._backend.stop(run_id, force=False)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)

    async def _attend(self, worker: Worker, nudge: asyncio.Event) -> None:
        run_id = worker.run_id
        try:
            end = await self._until_end(worker, nudge)
            self._living.discard(run_id)
            self._freed()
            await self._settle(run_id, end, ended=self._clock())
        except Exception:
            # The worker is found again at the next start; the others must not suffer.
            log.exception("worker is no longer watched", extra={"run_id": run_id})
        finally:
            self._living.discard(run_id)
            self._nudges.pop(run_id, None)
            self._delays.pop(run_id, None)
            self._freed()

    async def _until_end(self, worker: Worker, nudge: asyncio.Event) -> WorkerEnd:
        delayed = functools.partial(self._delayed, worker.run_id)
        end = asyncio.create_task(self._backend.end_of(worker.run_id, delayed=delayed))
        again: datetime | None = worker.created + self._limits.start
        try:
            while not await self._pause(end, nudge, again):
                nudge.clear()
                again = await self._look(worker)
            return end.result()
        finally:
            end.cancel()

    def _delayed(self, run_id: RunId, delay: WorkerDelay | None) -> None:
        if delay is None:
            self._delays.pop(run_id, None)
            return
        log.info("worker delayed", extra={"run_id": run_id, "cause": delay.cause, "detail": delay.message})
        self._delays[run_id] = delay
        self._begin(self._tell_delay(run_id, delay))

    async def _tell_delay(self, run_id: RunId, delay: WorkerDelay) -> None:
        # Until it is told, or something else keeps the worker from running, or nothing any more.
        while self._delays.get(run_id) is delay:
            try:
                await self._ledger.tell_delay(run_id, delay)
            except BusUnavailableError:
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    async def _pause(self, end: asyncio.Task[WorkerEnd], nudge: asyncio.Event, again: datetime | None) -> bool:
        """Wait until it is time to look again, and return whether the worker has ended."""
        nudged = asyncio.create_task(nudge.wait())
        seconds = None if again is None else max(0.0, (again - self._clock()).total_seconds())
        try:
            await asyncio.wait({end, nudged}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nudged.cancel()
        return end.done()

    async def _look(self, worker: Worker) -> datetime | None:
        """Do what is due about a living worker, and return when to look again."""
        try:
            facts = await self._ledger.facts(worker.run_id)
            now = self._clock()
            delayed = worker.run_id in self._delays
            attention = attend(facts, created=worker.created, now=now, limits=self._limits, delayed=delayed)
            if attention.act is not Act.NOTHING:
                force = attention.act is Act.KILL
                log.warning("worker is ended", extra={"run_id": worker.run_id, "force": force})
                await self._backend.stop(worker.run_id, force=force)
        except (BusUnavailableError, BackendUnavailableError) as error:
            log.warning("worker is looked at again", extra={"run_id": worker.run_id, "cause": str(error)})
            return self._clock() + timedelta(seconds=_AGAIN_SECONDS)
        return attention.again

    async def _settle(self, run_id: RunId, end: WorkerEnd, *, ended: datetime) -> None:
        """Say how the run ended unless its worker did, however long that takes."""
        while True:
            try:
                if await self._told(run_id, end, ended):
                    break
            except ConflictError as error:
                log.debug("end of a worker is decided again", extra={"run_id": run_id, "cause": str(error)})
            except BusUnavailableError as error:
                log.warning("end of a worker is told later", extra={"run_id": run_id, "cause": str(error)})
            await asyncio.sleep(_AGAIN_SECONDS)
        await self._backend.release(run_id)

    async def _told(self, run_id: RunId, end: WorkerEnd, ended: datetime) -> bool:
        facts = await self._ledger.facts(run_id)
        delay = self._delays.get(run_id)
        event = verdict(facts, end, ended=ended, now=self._clock(), limits=self._limits, delay=delay)
        if event is Doubt.ASK_AGAIN:
            return False
        if event is None:
            log.info("worker ended", extra={"run_id": run_id, "code": end.code})
            return True
        if isinstance(event, RunLost):
            event = event.model_copy(update={"output": await self._output(run_id)})
        await self._ledger.say(run_id, event, after=facts.launch_sequence, traceparent=facts.traceparent)
        log.warning("run ended by the launcher", extra={"run_id": run_id, "event": event.TYPE})
        return True

    async def _output(self, run_id: RunId) -> str:
        """Return the last lines that a worker wrote. A run ends without them rather than not at all."""
        try:
            async with asyncio.timeout(_OUTPUT_SECONDS):
                return await self._backend.output_of(run_id)
        except (BackendUnavailableError, TimeoutError) as error:
            log.warning("output of a worker cannot be read", extra={"run_id": run_id, "cause": str(error)})
            return ""
