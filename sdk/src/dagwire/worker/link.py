"""The worker's thread that owns the connection to the bus: it takes the run, then does the work it is given.

It runs no user code, and imports no models: it is at work while those are imported.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Final

from dagwire_shared.bus import Bus, Streams
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.ids import RunId
from dagwire_shared.jetstream import connect

from dagwire.worker.claim import Claim
from dagwire.worker.codes import EXIT_CLAIM_LOST, exit_code

log = logging.getLogger(__name__)

Connect = Callable[[], AbstractAsyncContextManager[Bus]]
Work = Callable[[Bus], Awaitable[None]]

_CONNECT: Final = timedelta(seconds=5)


class Link:
    """A thread that claims the run on a connection of its own, then works until all is said."""

    def __init__(self, connect: Connect, claim: Callable[[Streams], Awaitable[Claim]]) -> None:
        self._connect = connect
        self._claim = claim
        self.claimed: Future[Claim] = Future()
        """Whose the run is; or why that cannot be learnt. To be asked when ``answered`` is free."""
        self.answered = threading.Lock()
        """Taken until ``claimed`` is done. A lock, since waiting for one may be broken off by a signal's exception."""
        self.answered.acquire()
        self._given: Future[Work] = Future()
        self.finished: Future[None] = Future()
        """Done when the work is; or why it cannot be done."""
        self._thread = threading.Thread(target=self._run, name="dagwire-link", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def proceed(self, work: Work) -> None:
        """Say what is to be done once the run is taken."""
        self._given.set_result(work)

    @property
    def ours(self) -> bool:
        """Whether this worker has the run."""
        return self.claimed.done() and self.claimed.exception() is None and self.claimed.result() is Claim.OURS

    def code_without_run(self) -> int | None:
        """Return the exit code of a worker that has no run, with the reason logged; None: it has. When answered."""
        error = self.claimed.exception()
        if error is not None:
            log.error("the run was not taken: %s", error)
            return exit_code(error)
        if not self.ours:
            log.warning("nothing to do: %s", self.claimed.result().value)
            return EXIT_CLAIM_LOST
        return None

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

    async def _work(self) -> None:
        async with self._connect() as bus:
            taken = await self._claim(bus.streams)
            self.claimed.set_result(taken)
            self.answered.release()
            if taken is Claim.OURS:
                work = await asyncio.wrap_future(self._given)
                await work(bus)
                self.finished.set_result(None)


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
