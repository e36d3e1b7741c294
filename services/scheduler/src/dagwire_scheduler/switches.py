"""Which schedules somebody switched, as the state bucket says; and the event for each switch. Writes no switch."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from dagwire_shared.bus import Entry, State
from dagwire_shared.errors import BusError, ConflictError, InvalidIdentifierError
from dagwire_shared.events import ScheduleSwitched
from dagwire_shared.ids import ScheduleId, check_run_id
from dagwire_shared.model import Model
from dagwire_shared.records import ScheduleSwitch
from pydantic import ValidationError

from dagwire_scheduler.journal import Journal

_log: Final = logging.getLogger(__name__)

PREFIX: Final = "switch"
PROGRESS_KEY: Final = "scheduler.switches"
_PAUSE_SECONDS: Final = 1.0


class Announced(Model):
    """Up to which revision of the bucket every switch has its event."""

    revision: int = 0


class Switches:
    """The newest known switch of every schedule."""

    def __init__(self, state: State, journal: Journal) -> None:
        self._state = state
        self._journal = journal
        self._known: dict[ScheduleId, tuple[int, ScheduleSwitch | None]] = {}
        self._unannounced: dict[int, ScheduleId] = {}
        self._some = asyncio.Event()

    def get(self, schedule_id: ScheduleId) -> ScheduleSwitch | None:
        """Return a schedule's switch; None: nobody switched it."""
        return self._known.get(schedule_id, (0, None))[1]

    async def follow(self) -> AsyncIterator[ScheduleId | None]:
        """Yield None once all switches are known, then each schedule that was switched, without end."""
        async for entry in self._state.watch(PREFIX):
            if entry is None:
                yield None
            elif (changed := self._note(entry)) is not None:
                yield changed

    async def announce(self) -> None:
        """Publish an event for each switch that has none, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            try:
                await self._announce()
            except ConflictError:
                self._some.set()  # another replica wrote the revision: look again
            except BusError as error:
                _log.warning("switches wait for the bus", extra={"cause": str(error)})
                self._some.set()
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _announce(self) -> None:
        entry = await self._state.get(PROGRESS_KEY)
        announced = _announced(entry)
        waiting = sorted(self._unannounced)
        for revision in waiting:
            schedule_id = self._unannounced[revision]
            if revision > announced:
                await self._announce_one(schedule_id, revision)
            del self._unannounced[revision]
        if waiting and waiting[-1] > announced:
            value = Announced(revision=waiting[-1]).model_dump_json().encode()
            await self._state.put(PROGRESS_KEY, value, revision=entry.revision if entry is not None else 0)

    async def _announce_one(self, schedule_id: ScheduleId, revision: int) -> None:
        known, switch = self._known[schedule_id]
        if known != revision or switch is None:
            return  # switched again meanwhile: only the last one counts
        try:
            event = ScheduleSwitched(
                location=switch.location,
                repository=switch.repository,
                schedule=switch.schedule,
                status=switch.status,
                by=switch.by,
            )
        except ValidationError:
            _log.exception("switch names no schedule", extra={"schedule_id": schedule_id})
            return
        await self._journal.switched(schedule_id, event, revision=revision, at=switch.at)
        facts = {"location": event.location, "repository": event.repository, "schedule": event.schedule}
        _log.info("schedule switched", extra={**facts, "status": event.status, "by": event.by})

    def _note(self, entry: Entry) -> ScheduleId | None:
        try:
            schedule_id = ScheduleId(check_run_id(entry.key.removeprefix(f"{PREFIX}.")))
            switch = None if entry.value is None else ScheduleSwitch.model_validate_json(entry.value)
        except (InvalidIdentifierError, ValidationError):
            _log.exception("switch is not readable", extra={"key": entry.key})
            return None
        if entry.revision <= self._known.get(schedule_id, (0, None))[0]:
            return None
        self._known[schedule_id] = (entry.revision, switch)
        self._unannounced[entry.revision] = schedule_id
        self._some.set()
        return schedule_id


def _announced(entry: Entry | None) -> int:
    if entry is None or entry.value is None:
        return 0
    try:
        return Announced.model_validate_json(entry.value).revision
    except ValidationError:
        return 0
