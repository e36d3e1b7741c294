"""The worker's thread that owns the connection to the bus: claim, outbox, and cancel orders. Runs no user code."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, repeat
from typing import Final

from dagwire_shared.bus import Bus
from dagwire_shared.commands import CancelRun
from dagwire_shared.envelope import decode
from dagwire_shared.errors import BusUnavailableError, MalformedMessageError
from dagwire_shared.ids import RunId
from dagwire_shared.jetstream import connect
from dagwire_shared.streams import CONTROL
from dagwire_shared.subjects import control_subject

from dagwire.worker.claim import Claim, claim
from dagwire.worker.outbox import Outbox
from dagwire.worker.sender import Sender

log = logging.getLogger(__name__)

Connect = Callable[[], AbstractAsyncContextManager[Bus]]

_LOOK_SECONDS: Final = 15.0
"""How often the last order is read, should a notification be lost while the connection was away."""
_FIRST_LOOKS_SECONDS: Final = (1.0,)
"""The second look comes soon: the subscription may have begun after the first."""
_CONNECT: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What the thread is to do."""

    run_id: RunId
    worker: str
    traceparent: str | None
    connect: Connect
    on_cancel: Callable[[str], None]
    """Called with the reason when an order to cancel the run is found."""


class Link:
    """Runs the errand in a thread of its own; the answers come as futures."""

    def __init__(self, errand: Errand, outbox: Outbox) -> None:
        self._errand = errand
        self._outbox = outbox
        self._canceled = False
        self.claimed: Future[Claim] = Future()
        """Whose the run is; or why that cannot be learnt. To be asked when ``answered`` is free."""
        self.answered = threading.Lock()
        """Taken until ``claimed`` is done. A lock, since waiting for one may be broken off by a signal's exception."""
        self.answered.acquire()
        self.finished: Future[None] = Future()
        """Done when every event is acknowledged; or why they cannot be sent."""
        self._thread = threading.Thread(target=self._run, name="dagwire-link", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def ours(self) -> bool:
        """Whether this worker has the run."""
        return self.claimed.done() and self.claimed.exception() is None and self.claimed.result() is Claim.OURS

    def join(self, seconds: float) -> None:
        """Give the thread a moment to close its connection."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001 -- handed to the main thread, which ends the process
            cause = error
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            if not self.claimed.done():
                self.claimed.set_exception(cause)
                self.answered.release()
            if not self.finished.done():
                self.finished.set_exception(cause)
            self._errand.on_cancel(f"The run cannot tell what happens in it: {cause}")

    async def _work(self) -> None:
        errand = self._errand
        async with errand.connect() as bus:
            taken = await claim(bus.streams, errand.run_id, worker=errand.worker, traceparent=errand.traceparent)
            self.claimed.set_result(taken)
            self.answered.release()
            if taken is not Claim.OURS:
                return
            hearing = [asyncio.create_task(self._listen(bus)), asyncio.create_task(self._look(bus))]
            for task in hearing:
                task.add_done_callback(_report)
            try:
                await Sender(bus.streams, self._outbox).run()
                self.finished.set_result(None)
            finally:
                for task in hearing:
                    task.cancel()
                await asyncio.gather(*hearing, return_exceptions=True)

    async def _listen(self, bus: Bus) -> None:
        async for subject, body in bus.signals.listen(control_subject(self._errand.run_id)):
            self._hear(subject, body)

    async def _look(self, bus: Bus) -> None:
        subject = control_subject(self._errand.run_id)
        for pause in chain(_FIRST_LOOKS_SECONDS, repeat(_LOOK_SECONDS)):
            try:
                last = await bus.streams.last(CONTROL, subject)
            except BusUnavailableError:
                continue
            if last is not None:
                self._hear(subject, last.body)
            await asyncio.sleep(pause)

    def _hear(self, subject: str, body: bytes) -> None:
        try:
            order = decode(body).command
        except MalformedMessageError as error:
            log.warning("order is not readable", extra={"subject": subject, "cause": str(error)})
            return
        if isinstance(order, CancelRun) and order.run_id == self._errand.run_id and not self._canceled:
            self._canceled = True
            by = order.requested_by
            self._errand.on_cancel(f"Canceled by {by.kind}" + (f" {by.name}." if by.name else "."))


@asynccontextmanager
async def connected(url: str, run_id: RunId, *, inbox_prefix: str) -> AsyncIterator[Bus]:
    """Connect to the bus, however long that takes."""
    name = f"dagwire-run-{run_id}"
    while True:
        try:
            context = connect(url, name=name, inbox_prefix=inbox_prefix, deadline=_CONNECT)
            bus = await context.__aenter__()
        except BusUnavailableError as error:
            log.warning("bus is not reached yet", extra={"run_id": run_id, "cause": str(error)})
            continue
        break
    try:
        yield bus
    finally:
        await context.__aexit__(None, None, None)


def _report(task: "asyncio.Task[None]") -> None:
    """Log why orders are not heard any more; the run goes on, and SIGTERM still reaches it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("cancel orders are not heard", extra={"cause": str(error)})
