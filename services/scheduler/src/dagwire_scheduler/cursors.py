"""How far each schedule is, as the replicas share it in the state bucket; written by compare-and-set."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Final

from dagwire_shared.bus import Entry, State
from dagwire_shared.errors import ConflictError, InvalidIdentifierError
from dagwire_shared.ids import ScheduleId, check_run_id
from dagwire_shared.records import ScheduleCursor, cursor_key
from pydantic import ValidationError

from dagwire_scheduler.schedules import Identity
from dagwire_scheduler.ticks import Progress, Rule

_log: Final = logging.getLogger(__name__)

PREFIX: Final = "cursor"


class Cursors:
    """The newest known progress of every schedule."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[ScheduleId, tuple[int, ScheduleCursor | None]] = {}
        self._writing: dict[ScheduleId, bytes] = {}

    def get(self, schedule_id: ScheduleId) -> Progress | None:
        """Return how far a schedule is; None: it was never seen."""
        _, cursor = self._known.get(schedule_id, (0, None))
        if cursor is None:
            return None
        rule = Rule(tuple(cursor.cron_schedules), cursor.execution_timezone)
        return Progress(through=cursor.evaluated_through, rule=rule, active=cursor.active, begun=cursor.begun)

    def active_in(self, location: str) -> Iterator[Identity]:
        """Yield the schedules of a location that were seen running last."""
        for _, cursor in list(self._known.values()):
            if cursor is not None and cursor.active and cursor.location == location:
                try:
                    yield Identity.of(cursor.location, cursor.repository, cursor.schedule)
                except InvalidIdentifierError:
                    continue  # written by somebody else: it names no schedule of ours

    async def write(self, identity: Identity, progress: Progress) -> bool:
        """Write over what is known, never back; False: another replica wrote first, and its word is known now.

        Raises:
            BusUnavailableError: whether it was written is unknown.
        """
        revision, before = self._known.get(identity.id, (0, None))
        through = max(progress.through, before.evaluated_through) if before is not None else progress.through
        cursor = ScheduleCursor(
            evaluated_through=through,
            begun=progress.begun,
            active=progress.active,
            cron_schedules=list(progress.rule.cron_schedules),
            execution_timezone=progress.rule.timezone,
            location=identity.location,
            repository=identity.repository,
            schedule=identity.name,
        )
        key, value = cursor_key(identity.id), cursor.model_dump_json().encode()
        self._writing[identity.id] = value
        try:
            revision = await self._state.put(key, value, revision=revision)
        except ConflictError:
            entry = await self._state.get(key)
            if entry is None:  # deleted by hand: the schedule is new again
                self._known.pop(identity.id, None)
                return False
            self.note(entry)
            return entry.value == value
        finally:
            del self._writing[identity.id]
        self._known[identity.id] = max(
            self._known.get(identity.id, (0, None)), (revision, cursor), key=lambda it: it[0]
        )
        return True

    async def follow(self) -> AsyncIterator[ScheduleId | None]:
        """Yield None once all cursors are known, then each schedule whose cursor somebody else wrote, without end."""
        async for entry in self._state.watch(PREFIX):
            if entry is None:
                yield None
            elif (changed := self.note(entry)) is not None:
                yield changed

    def note(self, entry: Entry) -> ScheduleId | None:
        """Take in what the bucket holds; return the schedule if that was somebody else's news."""
        try:
            schedule_id = ScheduleId(check_run_id(entry.key.removeprefix(f"{PREFIX}.")))
        except InvalidIdentifierError:
            return None
        if entry.revision <= self._known.get(schedule_id, (0, None))[0]:
            return None
        self._known[schedule_id] = (entry.revision, _read(entry))
        return None if entry.value == self._writing.get(schedule_id, b"") else schedule_id


def _read(entry: Entry) -> ScheduleCursor | None:
    if entry.value is None:
        return None
    try:
        return ScheduleCursor.model_validate_json(entry.value)
    except ValidationError:
        _log.exception("cursor is not readable, the schedule begins anew", extra={"key": entry.key})
        return None
