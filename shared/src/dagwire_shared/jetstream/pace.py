"""Decides whether a series is published as one batch or one message at a time, by what each took here lately.

Which is faster depends on the server: a batch costs an unreplicated file stream three fsyncs, and a
replicated stream less than a single round trip per message does. No I/O.
"""

from typing import Final

_PER_MESSAGE_SECONDS: Final = 0.00003
"""What a further message adds to a batch."""
_WEIGHT: Final = 0.2
_OUTLIER: Final = 5.0
_FORGET: Final = 0.98
"""Each time that a batch is passed over, its cost is trusted a little less, so that it is tried again."""
_SMALLEST: Final = 3


class Pace:
    """What one message and one batch take on a connection, as a moving average."""

    def __init__(self, *, single: float = 0.0003, batch: float = 0.004) -> None:
        self.single = single
        self.batch = batch

    def prefers_batch(self, count: int) -> bool:
        """Whether so many messages are sooner stored as one batch."""
        if count < _SMALLEST:
            return False
        if count * self.single > self.batch + count * _PER_MESSAGE_SECONDS:
            return True
        self.batch *= _FORGET
        return False

    def note_singles(self, count: int, seconds: float) -> None:
        """Note how long ``count`` messages took, one after the other."""
        self.single = _blend(self.single, seconds / count)

    def note_batch(self, count: int, seconds: float) -> None:
        """Note how long a batch of ``count`` messages took."""
        self.batch = _blend(self.batch, max(seconds - count * _PER_MESSAGE_SECONDS, _PER_MESSAGE_SECONDS))


def _blend(average: float, value: float) -> float:
    return average + _WEIGHT * (min(value, average * _OUTLIER) - average)
