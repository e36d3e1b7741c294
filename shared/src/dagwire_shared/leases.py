"""Leases in the state bucket: which of several replicas acts for a role now. Spares double work, guarantees nothing.

A lease ends for others when they saw no renewal for its duration by their own clock, and for its holder
well before: clocks are never compared.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from pydantic import ValidationError

from dagwire_shared.bus import Entry, State
from dagwire_shared.errors import BusError, ConflictError
from dagwire_shared.model import utc_now
from dagwire_shared.records import Lease, lease_key

log = logging.getLogger(__name__)

DURATION: Final = timedelta(seconds=9)
_RENEWALS: Final = 3
"""A lease is renewed this often within its duration; one part before its end, the holder stops acting."""
_RETRY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Observation:
    """What a replica knows of a lease, and since when by its own clock."""

    revision: int = 0
    holder: str | None = None
    since: float = 0.0


def seconds_until_free(seen: Observation, *, holder: str, duration: float, now: float) -> float:
    """Return how long this replica must wait before it may try to take the lease; 0: now.

    A lease under this replica's own name is from before its restart: it may take it at once.
    """
    if seen.holder is None or seen.holder == holder:
        return 0.0
    return max(0.0, seen.since + duration - now)


def seconds_of_trust(*, confirmed: float, duration: float, now: float) -> float:
    """Return how long the holder may go on acting without another confirmed renewal.

    ``confirmed`` is when the last successful renewal was begun, which is before anybody else saw it.
    """
    return max(0.0, confirmed + duration * (_RENEWALS - 1) / _RENEWALS - now)


class LeaseKeeper:
    """Tries to hold the lease of a role while its context is open, and releases it at the end."""

    def __init__(self, state: State, role: str, *, holder: str, duration: timedelta = DURATION) -> None:
        self._state = state
        self._role = role
        self._key = lease_key(role)
        self._holder = holder
        self._duration = duration.total_seconds()
        self._seen = Observation()
        self._changed = asyncio.Event()
        self._gained = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def held(self) -> bool:
        """Whether this replica acts for the role now."""
        return self._gained.is_set()

    async def until_gained(self) -> None:
        """Return when this replica holds the lease."""
        await self._gained.wait()

    async def until_lost(self) -> None:
        """Return when this replica does not hold the lease."""
        await self._lost.wait()

    async def run_while_held(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` whenever the lease is held, cancelling it when the lease is lost; return when it ends by itself.

        Raises:
            Exception: what ``work`` raised.
        """
        while True:
            await self.until_gained()
            acting = asyncio.ensure_future(work())
            lost = asyncio.ensure_future(self.until_lost())
            try:
                await asyncio.wait({acting, lost}, return_when=asyncio.FIRST_COMPLETED)
                if acting.done():
                    acting.result()
                    return
            finally:
                lost.cancel()
                acting.cancel()
                await asyncio.wait({acting})
            if not acting.cancelled():
                acting.result()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._keep())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.held:
            self._set_held(held=False)
            with contextlib.suppress(BusError, TimeoutError):
                async with asyncio.timeout(self._duration / _RENEWALS):
                    await self._state.delete(self._key, revision=self._seen.revision)

    async def _watch(self) -> None:
        """Note each renewal that others make, with the time at which it was seen here."""
        async for entry in self._state.watch(self._key.rpartition(".")[0]):
            if entry is not None and entry.key == self._key:
                self._observe(entry)

    def _observe(self, entry: Entry | None) -> None:
        if entry is not None and entry.revision <= self._seen.revision:
            return
        now = asyncio.get_running_loop().time()
        self._seen = Observation(entry.revision if entry else 0, _holder_of(entry), now)
        self._changed.set()

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            wait = seconds_until_free(self._seen, holder=self._holder, duration=self._duration, now=clock())
            if wait > 0:
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                continue
            begun = clock()
            if await self._write():
                await self._hold(begun)
            else:
                await asyncio.sleep(min(_RETRY_SECONDS, self._duration / _RENEWALS))

    async def _hold(self, confirmed: float) -> None:
        """Renew until it fails or is not confirmed in time."""
        clock = asyncio.get_running_loop().time
        self._set_held(held=True)
        try:
            while True:
                await asyncio.sleep(self._duration / _RENEWALS / 2)
                begun = clock()
                trust = seconds_of_trust(confirmed=confirmed, duration=self._duration, now=begun)
                if trust <= 0 or self._seen.holder != self._holder:
                    return
                if await self._write(within=trust):
                    confirmed = begun
        finally:
            if not asyncio.current_task().cancelling():  # type: ignore[union-attr] # there is one
                self._set_held(held=False)

    async def _write(self, *, within: float | None = None) -> bool:
        """Take or renew the lease over what was seen last; False: not confirmed."""
        value = Lease(holder=self._holder, renewed_at=utc_now()).model_dump_json().encode()
        try:
            async with asyncio.timeout(within or self._duration / _RENEWALS):
                revision = await self._state.put(self._key, value, revision=self._seen.revision)
        except ConflictError:
            with contextlib.suppress(BusError, TimeoutError):
                async with asyncio.timeout(self._duration / _RENEWALS):
                    self._observe(await self._state.get(self._key))
            return False
        except (BusError, TimeoutError) as error:
            log.warning("lease not confirmed", extra={"role": self._role, "cause": str(error) or "no answer"})
            return False
        self._observe(Entry(self._key, value, revision))
        return True

    def _set_held(self, *, held: bool) -> None:
        if held:
            self._lost.clear()
            self._gained.set()
            log.info("lease gained", extra={"role": self._role, "holder": self._holder})
        else:
            self._gained.clear()
            self._lost.set()
            log.info("lease lost", extra={"role": self._role, "holder": self._holder})


def _holder_of(entry: Entry | None) -> str | None:
    if entry is None or entry.value is None:
        return None
    try:
        return Lease.model_validate_json(entry.value).holder
    except ValidationError:
        return None
