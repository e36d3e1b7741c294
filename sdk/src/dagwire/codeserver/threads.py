"""Runs user code beside the event loop, with a deadline: code that hangs costs one thread, never the server."""

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from dagwire_shared.errors import DagwireError

T = TypeVar("T")

log = logging.getLogger(__name__)

_SLOW_SECONDS: Final = 30.0
_NOT_USERS: Final = (threading.__file__, str(Path(__file__).resolve().parent.parent), "<frozen ")


class UserCodeTimeoutError(DagwireError):
    """Make the code that the message names answer sooner, or raise the server's ``--user-code-timeout``."""

    def __init__(self, message: str, stack: list[str]) -> None:
        super().__init__(message)
        self.stack = stack
        """Where the code is now, outermost frame first."""


class UserCodeExitError(DagwireError):
    """Let the code raise an ordinary exception: it called ``sys.exit`` or the like."""


@dataclass(slots=True)
class _Outcome(Generic[T]):
    """What a thread left behind. No future carries it: one cannot hold a StopIteration."""

    value: T | None = None
    error: BaseException | None = None


class UserCode:
    """Calls user code in threads of its own.

    A thread cannot be ended from outside. One that misses its deadline is left alone, and until it ends
    the same question is refused at once: a schedule that hangs holds one thread, however often it is asked.
    """

    def __init__(self, *, limit: int, deadline: float) -> None:
        """Run at most ``limit`` calls at a time; each has ``deadline`` seconds unless its caller has less."""
        self._slots = asyncio.Semaphore(limit)
        self._deadline = deadline
        self._overdue: dict[Hashable, tuple[threading.Thread, float]] = {}

    async def call(self, key: Hashable, what: str, function: Callable[[], T], *, patience: float | None = None) -> T:
        """Return what ``function`` returns, or raise what it raises.

        Args:
            key: what is asked: two questions of one key are the same.
            what: the same for people: ``schedule 'daily'``.
            function: called in a thread.
            patience: how long the caller waits, in seconds.

        Raises:
            UserCodeTimeoutError: no answer before the deadline, or an earlier call still has not ended.
        """
        self._refuse_overdue(key, what)
        seconds = self._deadline if patience is None else min(self._deadline, patience)
        started = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            message = f"{what} had to wait longer than {seconds:.3g} s for other user code to end"
            raise UserCodeTimeoutError(message, []) from None
        outcome: _Outcome[T] = _Outcome()
        ended = asyncio.Event()
        thread = _start(function, outcome, ended, what)
        try:
            async with asyncio.timeout(max(0.0, seconds - (time.monotonic() - started))):
                await ended.wait()
        except TimeoutError:
            raise UserCodeTimeoutError(f"{what} did not answer within {seconds:.3g} s", stack_of(thread)) from None
        finally:
            if not ended.is_set():  # late, or the caller has gone
                self._overdue[key] = (thread, started)
            self._slots.release()
        return _result(outcome)

    def _refuse_overdue(self, key: Hashable, what: str) -> None:
        self._overdue = {known: value for known, value in self._overdue.items() if value[0].is_alive()}
        if key in self._overdue:
            thread, started = self._overdue[key]
            message = f"{what} has not ended its call of {time.monotonic() - started:.0f} s ago, and gets no second one"
            raise UserCodeTimeoutError(message, stack_of(thread))


async def run_alone(what: str, function: Callable[[], T]) -> T:
    """Return what ``function`` returns in a thread, however long that takes; log where it is while it is slow."""
    outcome: _Outcome[T] = _Outcome()
    ended = asyncio.Event()
    thread = _start(function, outcome, ended, what)
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SLOW_SECONDS):
                await ended.wait()
        if not ended.is_set():
            frames = stack_of(thread)
            log.warning("user code is slow", extra={"doing": what, "at": frames[-1] if frames else "unknown"})
    return _result(outcome)


def stack_of(thread: threading.Thread) -> list[str]:
    """Return where a thread is now: the user's frames, outermost first."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 -- the documented way, despite its name
    if frame is None:
        return []
    frames = [one for one in traceback.extract_stack(frame) if not one.filename.startswith(_NOT_USERS)]
    return [line.rstrip("\n").removeprefix("  ") for line in traceback.format_list(frames)]


def _start(function: Callable[[], T], outcome: _Outcome[T], ended: asyncio.Event, what: str) -> threading.Thread:
    loop = asyncio.get_running_loop()

    def work() -> None:
        try:
            outcome.value = function()
        except BaseException as error:  # noqa: BLE001 -- user code may raise anything; it is raised for the caller
            outcome.error = error
        with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
            loop.call_soon_threadsafe(ended.set)

    # A daemon: code that hangs must not keep the server from ending.
    thread = threading.Thread(target=work, name=what, daemon=True)
    thread.start()
    return thread


def _result(outcome: _Outcome[T]) -> T:
    if isinstance(outcome.error, Exception):
        raise outcome.error
    if outcome.error is not None:  # a SystemExit must not end the server
        raise UserCodeExitError(f"the code ended with {outcome.error!r}") from outcome.error
    return outcome.value  # type: ignore[return-value]  # None is a T here: the function returned it
