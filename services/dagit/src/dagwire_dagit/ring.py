"""The recent events that a replica holds in memory, and what it can say for itself without the history.

The ring is bounded by bytes. It is read by lanes: one per run or schedule, and one with the life of all of
them. A lane knows its *floor*: every event of the lane after the floor is in the ring, or still to come; up to
the floor, the store must be asked. No I/O, no waiting.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Final

from dagwire_shared.subjects import SHARDS, Kind, shard_of

from dagwire_dagit.cursors import BEGINNING, Cursor
from dagwire_dagit.entries import Entry

LIFE: Final[frozenset[str]] = frozenset({Kind.LAUNCH, Kind.RUN, Kind.TICK})
"""The kinds of the whole-instance feed."""

_OVERHEAD: Final = 450
"""What Python needs for an entry beside its frame, in bytes (measured: 220 to 443)."""
_TRIM: Final = 1024


class Lane:
    """The events of one run or schedule, or the life of all, in order."""

    def __init__(self, shards: Sequence[str], base: Cursor) -> None:
        self.shards = shards
        self.base = base
        """Where the ring began for this lane, as far as was known then."""
        self.evicted: Cursor | None = None
        """The newest event of the lane that left the ring."""
        self.watched = 0
        """How many clients read it: their lane is kept even when it is empty."""
        self._entries: list[Entry] = []
        self._start = 0

    def __len__(self) -> int:
        return len(self._entries) - self._start

    def append(self, entry: Entry) -> None:
        """Add the newest entry."""
        self._entries.append(entry)

    def evict(self) -> None:
        """Forget the oldest entry."""
        self.evicted = self._entries[self._start].cursor
        self._entries[self._start] = _GONE
        self._start += 1
        if self._start >= _TRIM and self._start * 2 >= len(self._entries):
            del self._entries[: self._start]
            self._start = 0

    def after(self, position: Cursor, *, limit: int) -> Sequence[Entry]:
        """Return up to ``limit`` entries after a position, oldest first."""
        first = bisect_right(self._entries, position, lo=self._start, key=_cursor_of)
        return self._entries[first : first + limit]

    def entries(self) -> Sequence[Entry]:
        """Return everything that is there."""
        return list(islice(self._entries, self._start, None))


_cursor_of = attrgetter("cursor")
_GONE: Final = Entry(cursor=BEGINNING, aggregate="", kind="", id="", frame=b"")


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a client that is behind the ring can be served from the store."""

    through: Cursor
    """Complete up to here, for the lane."""
    lagging: Sequence[str]
    """The shards that the store does not hold far enough yet; none: the ring continues after ``through``."""
    unsettled: Sequence[str]
    """Those of them of which it is unknown whether anything is missing at all."""


class Ring:
    """Recent events of every run and schedule, bounded by bytes; the oldest leave first."""

    def __init__(self, *, start: Cursor, limit: int) -> None:
        """Begin empty: what comes after ``start`` will be appended; ``limit`` is in bytes."""
        self.start = start
        self.head = start
        """The newest event that was seen, or where the ring began."""
        self.life = Lane(SHARDS, start)
        self._limit = limit
        self._size = 0
        self._entries: deque[Entry] = deque()
        self._ids: set[tuple[str, str]] = set()
        self._lanes: dict[str, Lane] = {}
        self._floors = dict.fromkeys(SHARDS, start)
        self._settled: set[str] = set()

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return self._size

    def append(self, entry: Entry) -> bool:
        """Add the newest event; False: it is there already, re-published under its id."""
        self.head = entry.cursor
        identity = (entry.aggregate, entry.id)
        if identity in self._ids:
            return False
        self._ids.add(identity)
        self._entries.append(entry)
        self._size += len(entry.frame) + _OVERHEAD
        lane = self.lane(entry.aggregate)
        if entry.id == f"{entry.aggregate}:queued":
            lane.base = BEGINNING  # a run's first event: nothing of it is older
        lane.append(entry)
        if entry.kind in LIFE:
            self.life.append(entry)
        while self._size > self._limit and len(self._entries) > 1:
            self._evict()
        return True

    def skip(self, cursor: Cursor) -> None:
        """Note that the newest message is no event."""
        self.head = cursor

    def lane(self, aggregate: str) -> Lane:
        """Return the lane of a run or a schedule; an empty one if nothing of it is there."""
        lane = self._lanes.get(aggregate)
        if lane is None:
            shard = shard_of(aggregate)
            lane = self._lanes[aggregate] = Lane(shard, self._floors[shard])
        return lane

    def peek(self, aggregate: str) -> Lane | None:
        """Return the lane of a run or a schedule, if there is one."""
        return self._lanes.get(aggregate)

    def release(self, aggregate: str) -> None:
        """Forget a lane that is empty and that nobody watches."""
        lane = self._lanes.get(aggregate)
        if lane is not None and not len(lane) and not lane.watched:
            del self._lanes[aggregate]

    def floor(self, lane: Lane) -> Cursor:
        """Return the lane's floor: everything after it is in the ring, or still to come."""
        if lane.evicted is not None:
            return lane.evicted
        return min(lane.base, max(self._floors[shard] for shard in lane.shards))

    def bound(self, lane: Lane, progress: Mapping[str, Cursor]) -> Bound:
        """Say how far the store, which has come to ``progress``, can serve the lane."""
        floor = self.floor(lane)
        stored = {shard: progress.get(shard, BEGINNING) for shard in lane.shards}
        lagging = [shard for shard in lane.shards if stored[shard] < min(floor, self._floors[shard])]
        through = min((stored[shard] for shard in lagging), default=floor)
        return Bound(through, lagging, [shard for shard in lagging if shard not in self._settled])

    def settle(self, shard: str, newest: Cursor) -> None:
        """Note that ``newest`` is the shard's newest event before the ring began (or the store's, if that is newer)."""
        if shard not in self._settled:
            self._settled.add(shard)
            self._floors[shard] = min(newest, self._floors[shard])

    def _evict(self) -> None:
        entry = self._entries.popleft()
        self._size -= len(entry.frame) + _OVERHEAD
        self._ids.discard((entry.aggregate, entry.id))
        lane = self._lanes[entry.aggregate]
        lane.evict()
        self.release(entry.aggregate)
        shard = entry.aggregate[0]
        self._floors[shard] = entry.cursor
        self._settled.add(shard)
        if entry.kind in LIFE:
            self.life.evict()
