"""How the scheduler behaves, as one value. Settings fill it in."""

from dataclasses import dataclass, field
from datetime import timedelta

from dagwire_scheduler.ticks import Limits


@dataclass(frozen=True, slots=True)
class Policy:
    """Durations and limits."""

    limits: Limits = field(default_factory=Limits)
    evaluation: timedelta = timedelta(seconds=60)
    """How long a schedule's function may take."""
    evaluations_at_once: int = 8
    """Per code location. More would wait in the code server, where their time already counts."""
    attempts: int = 3
    """After this many time-outs or server faults in a row a tick has failed. A server that is away is no attempt."""
    standby: timedelta = timedelta(seconds=3)
    """How long a replica without the lease leaves to the holder what is due."""
    patience: timedelta = timedelta(seconds=30)
    """The same, once the holder has begun with it; and before a replica contradicts another's word on the rule."""
    publish: timedelta = timedelta(seconds=30)
    """Within which the bus must accept a message."""
    first_pause: timedelta = timedelta(milliseconds=500)
    """Before the second try of what failed; doubled each time."""
    longest_pause: timedelta = timedelta(seconds=30)
