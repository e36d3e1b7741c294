"""All that is known of one Job of the launcher's: itself, its pods and the warnings about both. No I/O."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dagwire_launcher.kubernetes.causes import Standing, standing
from dagwire_launcher.kubernetes.seen import SeenEvent, SeenJob, SeenPod


@dataclass(slots=True)
class Track:
    """One Job. It changes as the watches tell."""

    job: SeenJob | None = None
    pods: dict[str, SeenPod] = field(default_factory=dict)
    events: dict[str, SeenEvent] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set and replaced with each change."""
    released: datetime | None = None
    """Since when nobody is interested in it any more."""
    wanted: bool = False
    """Whether somebody asked for its end."""

    def tell(self) -> None:
        """Wake whoever waits for a change."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    @property
    def in_order(self) -> Sequence[SeenPod]:
        """The pods in the order of their creation; there should never be more than one."""
        return sorted(self.pods.values(), key=lambda pod: (pod.created, pod.name))

    @property
    def standing(self) -> Standing:
        """How its worker fares."""
        return standing(self.job, self.in_order, self.events.values())

    @property
    def done(self) -> bool:
        """Whether there is nothing left of it, and nobody who asks."""
        gone = self.job is None and all(pod.gone for pod in self.pods.values())
        return gone and (self.released is not None or not (self.wanted or self.events))
