"""Stops the run's code in the main thread, once, and never while an event is being put away. Speaks to no bus."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

from dagwire.execute import RunCancellation

SIGNAL: Final = signal.SIGTERM
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Cancellation:
    """Turns a cancel order, from any thread, or a signal into one ``RunCancellation`` in the main thread.

    As a context manager it holds the exception back while the main thread is inside.
    """

    def __init__(self, *, asked: Callable[[], None]) -> None:
        self._asked = asked
        self._inside = 0
        self._raised = False
        self._armed = False
        self.message: str | None = None
        """Why the run is to stop; None: it is not."""
        self.by_signal = False
        """Whether a signal from outside came before any order."""

    def install(self) -> None:
        """Take over SIGTERM and SIGINT; called in the main thread."""
        self._armed = True
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def disarm(self) -> None:
        """Let the run end as it ended: a later order is for nothing."""
        self._armed = False

    def request(self, message: str, *, by_signal: bool = False) -> None:
        """Stop the run; from any thread, any number of times."""
        if self.message is None:
            self.message = message
            self.by_signal = by_signal
        # The signal also ends a system call that the run is waiting in.
        signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- the handler's signature
        if self.message is None:
            self.by_signal = True
            self.message = f"The run worker (process {os.getpid()}) was told to end by {signal.Signals(number).name}."
        self._asked()
        self._raise_if_due()

    def _raise_if_due(self) -> None:
        if self.message is not None and self._armed and not self._raised and not self._inside:
            self._raised = True
            raise RunCancellation(self.message)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._inside += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            self._inside -= 1
            if error is None:
                self._raise_if_due()
