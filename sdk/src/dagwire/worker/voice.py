"""Puts what code says into an outbox, and holds that code while there is no room. Speaks to no bus."""

import time
from typing import Final

from dagwire_shared.events import Event

from dagwire.worker.cancellation import Cancellation
from dagwire.worker.outbox import Outbox

_HELD_SECONDS: Final = 0.05


class Voice:
    """Tells events, from any thread."""

    def __init__(self, outbox: Outbox, cancellation: Cancellation) -> None:
        self._outbox = outbox
        self._cancellation = cancellation

    def emit(self, event: Event) -> None:
        """Put an event into the outbox, and wait while it is full; no cancellation comes in between."""
        while True:
            with self._cancellation:
                if self._outbox.offer(event):
                    return
            time.sleep(_HELD_SECONDS)
