"""What is known of a run from the last word on its subjects. No I/O."""

from dataclasses import dataclass
from datetime import datetime

from dagwire_shared.events import Event, RunCanceled, RunDropped, RunFailed, RunLost, RunSucceeded


@dataclass(frozen=True, slots=True)
class Said:
    """The last thing that was said on one of a run's subjects."""

    event: Event | None
    """None: of a type that this version does not know."""
    sequence: int
    time: datetime
    """When the stream took it."""
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The last word of the launchers about a run, and the last one of its worker about the run as a whole."""

    launch: Said | None
    run: Said | None

    @property
    def ended(self) -> bool:
        """Whether the run has reached its end."""
        by_worker = self.run is not None and isinstance(self.run.event, RunSucceeded | RunFailed | RunCanceled)
        return by_worker or self.ended_by_launcher

    @property
    def ended_by_launcher(self) -> bool:
        """Whether a launcher said the end: whatever its worker still does is for nothing."""
        return self.launch is not None and isinstance(self.launch.event, RunLost | RunDropped)

    @property
    def launch_sequence(self) -> int:
        """What the launcher's next word must follow."""
        return 0 if self.launch is None else self.launch.sequence

    @property
    def traceparent(self) -> str | None:
        """The trace that the run belongs to."""
        return None if self.launch is None else self.launch.traceparent
