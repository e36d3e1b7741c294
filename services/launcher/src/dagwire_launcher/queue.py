"""The queue's order and limit: which of the waiting runs to start now. No I/O."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

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


def next_to_start(waiting: Iterable[Waiting], *, occupied: int, limit: int) -> list[Waiting]:
    """Return the runs to start now, in order: the highest priority first, then who has waited longest.

    Args:
        waiting: the runs on the queue that are not being started already.
        occupied: how many runs have a worker or are being given one.
        limit: how many may.
    """
    return heapq.nsmallest(max(0, limit - occupied), waiting, key=lambda run: run.rank)


def read_waiting(delivery: Delivery) -> Waiting:
    """Return the run that a message on the queue holds.

    Raises:
        MalformedMessageError: it is not what a launcher puts there.
    """
    command = decode(delivery.body).command
    if not isinstance(command, LaunchRun) or delivery.subject != queue_subject(command.run_id):
        raise MalformedMessageError(f"not the {LaunchRun.TYPE} of its subject")
    return Waiting(command, delivery.sequence, delivery.body)
