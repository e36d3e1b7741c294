"""Holds a run's events, in order, until the bus has them: in memory, then on disk, then by holding the run.

Any thread puts events in; one sender takes them out. It speaks to no bus and knows no event loop.
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from dagwire_shared.bus import Message
from dagwire_shared.envelope import event_message
from dagwire_shared.events import EngineNoted, Event, LogLevel
from dagwire_shared.ids import RunId
from dagwire_shared.model import utc_now

from dagwire.worker.claim import SOURCE, event_id
from dagwire.worker.sizes import LARGEST_EVENT, cut_to_fit, left_out
from dagwire.worker.spool import Spool, SpoolFullError

BATCH: Final = 500
"""How many events are sent together at most."""
MEMORY_BYTES: Final = 8 * 1024 * 1024
"""How much is held in memory before the disk is used."""

_OVERHEAD: Final = 400
"""What an event costs in memory beside its body, in bytes."""


def number_of(message_id: str) -> int:
    """Return the number in the id of a worker's event, or of its message."""
    return int(message_id.rpartition(":")[2])


class Outbox:
    """The events that the bus has not acknowledged. Number 0, the claim, is not among them."""

    def __init__(
        self,
        run_id: RunId,
        spool: Spool,
        *,
        traceparent: str | None = None,
        memory_bytes: int = MEMORY_BYTES,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._run_id = run_id
        self._spool = spool
        self._traceparent = traceparent
        self._memory_limit = memory_bytes
        self._clock = clock
        self._word = secrets.token_hex(8)
        self._lock = threading.Lock()
        # The order is: sending, memory, spool, overflow.
        self._sending: Sequence[Message] = ()
        self._memory: deque[Message] = deque()
        self._memory_bytes = 0
        self._overflow: deque[Message] = deque()
        self._next = 1
        self._holding = False
        self._unlimited = False
        self._closed = False
        self._poke: Callable[[], None] | None = None

    # --- the run's side, any thread -----------------------------------------------------------------------------

    def offer(self, event: Event, time: datetime | None = None) -> bool:
        """Put an event at the end, said now or at ``time``; False: there is no room now, and the run has to wait.

        What is said after the run's end (by threads that user code left behind) is not kept.
        """
        with self._lock:
            return self._closed or self._put(event, time)

    def _put(self, event: Event, time: datetime | None = None) -> bool:
        message = self._message(event, time or self._clock())
        try:
            self._place(message)
        except SpoolFullError as error:
            if not self._unlimited:
                self._hold(error)
                return False
            self._overflow.append(message)
        self._next += 1
        self._holding = False
        self._tell()
        return True

    def lift_limits(self) -> None:
        """Hold nobody any more: the run is ending, and what it still has to say is little.

        Takes no lock: it is called from a signal handler, which may have interrupted ``offer``.
        """
        self._unlimited = True

    def finish(self, event: Event | None) -> None:
        """Put in the last event, the run's end; None: somebody else says that."""
        with self._lock:
            self._unlimited = True
            if event is not None:
                self._put(event)
            self._closed = True
            if self._poke is not None:
                self._poke()

    def _message(self, event: Event, time: datetime) -> Message:
        message = self._encode(event, time)
        if len(message.body) > LARGEST_EVENT:
            size = len(message.body)
            message = self._encode(cut_to_fit(event, size), time)
            if len(message.body) > LARGEST_EVENT:
                message = self._encode(left_out(event, size), time)
        return message

    def _encode(self, event: Event, time: datetime) -> Message:
        return event_message(
            event,
            id=event_id(self._run_id, self._next),
            source=SOURCE,
            subject=self._run_id,
            time=time,
            traceparent=self._traceparent,
            word=self._word,
        )

    def _place(self, message: Message) -> None:
        if self._overflow:
            raise SpoolFullError("what was said last waits for room already")
        if self._spool or self._memory_bytes >= self._memory_limit:
            self._spool.append(message)
        else:
            self._memory.append(message)
            self._memory_bytes += len(message.body) + _OVERHEAD

    def _hold(self, error: SpoolFullError) -> None:
        """Say once, as the last word before the wait, that the run is held."""
        if self._holding:
            return
        self._holding = True
        note = EngineNoted(
            level=LogLevel.WARNING,
            message=f"The run is held until the bus takes its events: {error}.",
            fields={"spooled_bytes": self._spool.waiting_bytes},
        )
        self._overflow.append(self._encode(note, self._clock()))
        self._next += 1

    def _tell(self) -> None:
        """Wake the sender when there is a first event, or enough for a batch; else it looks in a moment."""
        if self._poke is not None and len(self._memory) in {1, BATCH}:
            self._poke()

    # --- the sender's side, one thread --------------------------------------------------------------------------

    def connect(self, poke: Callable[[], None]) -> None:
        """Have ``poke`` called, from any thread, when there is something to send."""
        with self._lock:
            self._poke = poke

    @property
    def waiting(self) -> int:
        """How many events the bus has not acknowledged."""
        with self._lock:
            return len(self._sending) + len(self._memory) + len(self._spool) + len(self._overflow)

    @property
    def urgent(self) -> bool:
        """Whether waiting for more events would gain nothing."""
        with self._lock:
            return self._closed or len(self._memory) >= BATCH or bool(self._spool) or bool(self._overflow)

    @property
    def drained(self) -> bool:
        """Whether the last event is in, and acknowledged."""
        with self._lock:
            return self._closed and not (self._sending or self._memory or self._spool or self._overflow)

    def next_batch(self) -> Sequence[Message]:
        """Return what is to be sent now, in order; the same again until ``acknowledge``."""
        with self._lock:
            if not self._sending:
                self._refill()
                self._sending = [self._memory.popleft() for _ in range(min(BATCH, len(self._memory)))]
            return self._sending

    def _refill(self) -> None:
        if len(self._memory) < BATCH and self._spool:
            self._remember(self._spool.take(BATCH - len(self._memory)))
        if not self._spool and self._overflow:
            self._remember(self._overflow)
            self._overflow.clear()

    def _remember(self, messages: Sequence[Message] | deque[Message]) -> None:
        self._memory.extend(messages)
        self._memory_bytes += sum(len(message.body) + _OVERHEAD for message in messages)

    def acknowledge(self) -> None:
        """Forget what ``next_batch`` returned: the bus has it."""
        with self._lock:
            self._memory_bytes -= sum(len(message.body) + _OVERHEAD for message in self._sending)
            self._sending = ()
