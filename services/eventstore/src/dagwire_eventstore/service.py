"""The event store as a service: takes its share of the partitions, answers questions, deletes what is too old.

Decides nothing about events. A partition's lock and its writes are on one session of PostgreSQL, so both end together.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Final

import asyncpg
from dagwire_shared.bus import Bus
from dagwire_shared.errors import BusError, PermissionDeniedError
from dagwire_shared.ids import check_run_id
from dagwire_shared.model import utc_now
from dagwire_shared.subjects import KNOWN_QUESTION

from dagwire_eventstore import queries
from dagwire_eventstore.database import UNAVAILABLE, Database
from dagwire_eventstore.errors import OutOfStepError
from dagwire_eventstore.locks import FAMILY, MEMBER, partition_lock
from dagwire_eventstore.metrics import Metrics
from dagwire_eventstore.partition import Pace, Partition
from dagwire_eventstore.progress import shards_of
from dagwire_eventstore.retention import delete_old_logs
from dagwire_eventstore.settings import EventStoreSettings
from dagwire_eventstore.shares import decide
from dagwire_eventstore.store import Store

log = logging.getLogger(__name__)

GROUP: Final = "eventstore"
_BACKOFF_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_RETENTION_SECONDS: Final = 3600.0
_CURABLE: Final = (*UNAVAILABLE, OutOfStepError, BusError)
"""What a new start may cure (a stream that is away is being rebuilt); everything else ends the process."""


class EventStore:
    """One replica."""

    def __init__(self, bus: Bus, database: Database, settings: EventStoreSettings) -> None:
        self._bus = bus
        self._database = database
        self._settings = settings
        self._partitions: dict[int, asyncio.Task[None]] = {}
        self._ended = asyncio.Event()
        self._told = ""
        self.metrics = Metrics()

    async def run(self) -> None:
        """Store events without end.

        Raises:
            StreamBehindError: the stream is older than what is stored.
        """
        async with (
            self._bus.signals.serve(KNOWN_QUESTION, self.answer_known, group=GROUP),
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._take_part())
            tasks.create_task(self._forget())

    async def answer_known(self, body: bytes) -> bytes:
        """Answer whether a run was ever recorded. While PostgreSQL is away this raises: no answer is not "no"."""
        run_id = check_run_id(body.decode())
        async with self._database.connect("question") as connection:
            known = await connection.fetchval(queries.IS_KNOWN, run_id)
        return b"1" if known else b"0"

    async def _take_part(self) -> None:
        """Be one of the replicas, through every absence of PostgreSQL."""
        failures = 0
        try:
            while True:
                try:
                    async with self._database.connect("member") as connection:
                        await connection.execute(queries.JOIN_MEMBERS, FAMILY, MEMBER)
                        failures = 0
                        await self._share(connection)
                except UNAVAILABLE as error:
                    self._database.went_away(error)
                    await asyncio.sleep(_backoff(failures))
                    failures += 1
        finally:
            await self._give_up(tuple(self._partitions))

    async def _share(self, connection: asyncpg.Connection) -> None:
        """Take and give partitions as replicas come and go."""
        settings = self._settings
        numbers = {partition_lock(index, of=settings.partitions): index for index in range(settings.partitions)}
        failures = 0
        while True:
            self._ended.clear()
            if self._reap():
                await asyncio.sleep(_backoff(failures))
                failures += 1
            holders: Mapping[int, int] = dict(await connection.fetch(queries.READ_LOCKS, FAMILY))
            shift = decide(
                partitions=settings.partitions,
                mine=self._partitions.keys(),
                held={numbers[lock] for lock in holders if lock in numbers},
                replicas=holders.get(MEMBER, 1),
            )
            await self._give_up(shift.give)
            for index in shift.take:
                self._partitions[index] = asyncio.create_task(self._hold(index), name=f"partition {index}")
            try:
                async with asyncio.timeout(settings.claim_seconds):
                    await self._ended.wait()
            except TimeoutError:  # a quiet while: every partition of ours is at work
                self._database.came_back()
                self._told = ""
                failures = 0

    async def _hold(self, index: int) -> None:
        """Store one partition until something fails."""
        shards = shards_of(index, of=self._settings.partitions)
        pace = Pace(batch_size=self._settings.batch_size, watch_seconds=self._settings.watch_seconds)
        try:
            async with self._database.connect(f"partition {index}") as connection:
                lock = partition_lock(index, of=self._settings.partitions)
                if await connection.fetchval(queries.TAKE_LOCK, FAMILY, lock):
                    store = Store(connection, shards)
                    await Partition(self._bus, store, shards, pace=pace, metrics=self.metrics).run()
        finally:
            self._ended.set()

    def _reap(self) -> bool:
        """Forget partitions that ended, and say whether any did; raise what no new start can cure."""
        ended = [index for index, task in self._partitions.items() if task.done()]
        for index in ended:
            for error in _leaves(self._partitions.pop(index).exception()):
                if not isinstance(error, _CURABLE) or isinstance(error, PermissionDeniedError):
                    raise error
                if isinstance(error, UNAVAILABLE):
                    self._database.went_away(error)
                elif str(error) != self._told:
                    self._told = str(error)
                    log.warning("partition starts over", extra={"partition": index, "cause": self._told})
        return bool(ended)

    async def _give_up(self, indices: tuple[int, ...]) -> None:
        for index in indices:
            self._partitions[index].cancel()
        tasks = [self._partitions.pop(index) for index in indices]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forget(self) -> None:
        """Delete log lines that are too old, now and then."""
        keep = self._settings.log_retention
        while keep is not None:
            try:
                async with self._database.connect("retention") as connection:
                    await delete_old_logs(connection, before=utc_now() - keep)
            except UNAVAILABLE as error:
                log.debug("retention put off", extra={"cause": repr(error)})
            await asyncio.sleep(_RETENTION_SECONDS)


def _backoff(failures: int) -> float:
    return _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    elif error is not None:
        yield error
