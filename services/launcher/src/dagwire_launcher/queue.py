"""The queue's order: which of the waiting runs to start now. No I/O."""

import heapq
from dataclasses import dataclass
from itertools import count

from dagwire_shared.bus import Delivery
from dagwire_shared.commands import LaunchRun
from dagwire_shared.envelope import decode
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.subjects import queue_subject


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run on the queue."""

    order: LaunchRun
    sequence: int
    """Of its message on the queue: older runs have lower ones."""
    body: bytes
    """The message as it stands on the queue: what its worker is given."""

    @property
    def rank(self) -> tuple[int, int]:
        """The place in the queue; the lowest is next."""
        return (-self.order.priority, self.sequence)


class Queue:
    """The waiting runs in their order: the highest priority first, then who has waited longest."""

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[int, int], int, Waiting]] = []
        self._count = count()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, run: Waiting) -> None:
        """Add a run, or give back one that could not be started."""
        heapq.heappush(self._heap, (run.rank, next(self._count), run))

    def take(self, room: int) -> list[Waiting]:
        """Remove and return the runs to start now, in order; at most as many as there is room for."""
        return [heapq.heappop(self._heap)[-1] for _ in range(min(room, len(self._heap)))]


def read_waiting(delivery: Delivery) -> Waiting:
    """Return the run that a message on the queue holds.

    Raises:
        MalformedMessageError: it is not what a launcher puts there.
    """
    command = decode(delivery.body).command
    if not isinstance(command, LaunchRun) or delivery.subject != queue_subject(command.run_id):
        raise MalformedMessageError(f"not the {LaunchRun.TYPE} of its subject")
    return Waiting(command, delivery.sequence, delivery.body)
