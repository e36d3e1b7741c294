"""The worker's thread that owns the connection to the bus: it takes the run, then does the work it is given.

It runs no user code, and imports no models: it is at work while those are imported.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from itertools import chain, repeat
from typing import Final

from dagwire_shared.bus import Bus
from dagwire_shared.errors import BusUnavailableError, PermissionDeniedError
from dagwire_shared.ids import RunId
from dagwire_shared.jetstream import connect

from dagwire.worker.claim import Claim
from dagwire.worker.codes import EXIT_CLAIM_LOST, exit_code
from dagwire.worker.settings import Settings

log = logging.getLogger(__name__)

Connect = Callable[[], AbstractAsyncContextManager[Bus]]
Take = Callable[[Bus], Awaitable[Claim]]
Work = Callable[[Bus], Awaitable[None]]

_CONNECT: Final = timedelta(seconds=5)
_PAUSES_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Link:
    """A thread that claims the run on a connection of its own, then works until all is said."""

    def __init__(self, connect: Connect, claim: Take) -> None:
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
            taken = await self._claim(bus)
            self.claimed.set_result(taken)
            self.answered.release()
            if taken is Claim.OURS:
                work = await asyncio.wrap_future(self._given)
                await work(bus)
                self.finished.set_result(None)


class _Refused:
    """The patience with a credential that is refused: no launcher may be there to vouch for it right now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._pauses = chain(_PAUSES_SECONDS, repeat(_PAUSES_SECONDS[-1]))

    async def pause(self, error: PermissionDeniedError) -> None:
        """Wait before the next try.

        Raises:
            PermissionDeniedError: there has been enough of it.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise PermissionDeniedError(
                f"{error}, and has done so for {self._seconds:g} s: the run has ended, no launcher answers, or launcher"
                " and server were not given the same credential secret"
            ) from error
        pause = next(self._pauses) * random.uniform(0.5, 1.5)  # noqa: S311 -- jitter, no secret
        log.warning("credential is refused, and tried again", extra={"cause": str(error), "seconds": round(pause, 1)})
        await asyncio.sleep(min(pause, left))


@asynccontextmanager
async def connected(settings: Settings, run_id: RunId) -> AsyncIterator[Bus]:
    """Connect to the bus, however long that takes.

    Raises:
        PermissionDeniedError: the credential has been refused for as long as the settings allow.
    """
    name, refused = f"dagwire-run-{run_id}", _Refused(settings.refused_seconds)
    while True:
        try:
            context = connect(settings.nats_url, name=name, inbox_prefix=settings.inbox_prefix, deadline=_CONNECT)
            bus = await context.__aenter__()
        except BusUnavailableError as error:
            log.warning("bus is not reached yet", extra={"run_id": run_id, "cause": str(error)})
            continue
        except PermissionDeniedError as error:
            await refused.pause(error)
            continue
        break
    try:
        yield bus
    finally:
        await context.__aexit__(None, None, None)
