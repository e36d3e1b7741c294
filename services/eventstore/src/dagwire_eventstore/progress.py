"""Decides where in the stream reading begins, given how far each shard is stored. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagwire_shared.bus import Position
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import SHARDS

from dagwire_eventstore.errors import StreamBehindError

Place = tuple[int, int]
"""(epoch, sequence): orders all events."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading begins."""

    epoch: int
    after: int
    """The sequence after which the stream is read."""
    expired: int = 0
    """How many sequences after it the stream has forgotten already: what among them was not stored is lost."""


def shards_of(partition: int, *, of: int) -> Sequence[str]:
    """Return the shards of a partition: every ``of``-th one."""
    return tuple(SHARDS[partition::of])


def begin(stored: Mapping[str, Place], stream: Position) -> Start:
    """Return where to begin reading, for the shards in ``stored``.

    A rebuilt stream has a higher epoch and is read from its start; what of it was stored before is known by the
    producers' ids.

    Raises:
        StreamBehindError: the stream is older than what is stored, so its sequences cannot be trusted.
    """
    newest = max(stored.values())
    if newest > (stream.epoch, stream.last):
        raise StreamBehindError(_behind(newest, stream))
    after = min(seq if epoch == stream.epoch else 0 for epoch, seq in stored.values())
    return Start(stream.epoch, after, expired=max(0, stream.first - after - 1))


def _behind(newest: Place, stream: Position) -> str:
    epoch, sequence = newest
    if epoch > stream.epoch:
        return (
            f"the stream {EVENTS.name} has epoch {stream.epoch}, but this database holds events of epoch {epoch}: "
            f"nothing is stored, because they could not be put in order. Either the address of the bus or of the "
            f"database is that of another Dagwire, or the stream was rebuilt under an older epoch: then raise it "
            f"with `nats stream edit {EVENTS.name} --metadata dagwire.epoch={epoch + 1}`."
        )
    return (
        f"the stream {EVENTS.name} ends at sequence {stream.last}, but this database holds events up to {sequence}: "
        f"nothing is stored, because new events would get the numbers of stored ones. The stream was restored from an "
        f"older copy or has lost its newest messages: raise its epoch with "
        f"`nats stream edit {EVENTS.name} --metadata dagwire.epoch={epoch + 1}`."
    )
