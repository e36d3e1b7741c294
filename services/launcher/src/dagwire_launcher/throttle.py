"""Says whether something is worth telling again: a client that knocks for ever must not fill the log. No I/O."""

import time
from collections.abc import Callable
from typing import Final

EVERY_SECONDS: Final = 10.0
"""How often the same thing is told."""


class Throttle:
    """Lets the first of many alike through, and then one in a while. What is alike must come from a short list."""

    def __init__(self, every: float = EVERY_SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def admit(self, what: str) -> int | None:
        """Return how often this was left out since it was told last; None: leave it out once more."""
        now = self._clock()
        told, left_out = self._told.get(what, (now - self._every, 0))
        if now - told < self._every:
            self._told[what] = (told, left_out + 1)
            return None
        self._told[what] = (now, 0)
        return left_out
