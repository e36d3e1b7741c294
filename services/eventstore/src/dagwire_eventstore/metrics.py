"""What the event store counts, recorded by fact and logged once a minute while anything happens."""

import logging
import time
from typing import Final

log = logging.getLogger(__name__)

PERIOD_SECONDS: Final = 60.0


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.events = 0
        self.duplicates = 0
        self.dead = 0
        self.batches = 0
        self._seconds = 0.0
        self._told_at = time.monotonic()
        self._told_events = 0

    def batch_stored(self, *, events: int, new: int, seconds: float) -> None:
        """A transaction was committed; ``new`` of its events were not stored before."""
        self.events += new
        self.duplicates += events - new
        self.batches += 1
        self._seconds += seconds
        self._tell()

    def message_buried(self) -> None:
        """A message went to the dead letters."""
        self.dead += 1

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_at < PERIOD_SECONDS:
            return
        log.info(
            "events stored",
            extra={
                "since_last": self.events - self._told_events,
                "total": self.events,
                "duplicates": self.duplicates,
                "dead": self.dead,
                "batches": self.batches,
                "seconds_per_batch": round(self._seconds / self.batches, 4),
            },
        )
        self._told_at, self._told_events = now, self.events
