"""Schedules: what the code says of them, joined with the switches on the bus and the ticks in the history.

It writes switches; the scheduler acts on them.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Final

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared import cron
from dagwire_shared.bus import Bus, Entry
from dagwire_shared.errors import ConflictError
from dagwire_shared.events import RequestedBy
from dagwire_shared.ids import ScheduleId, schedule_id_for
from dagwire_shared.records import ScheduleSwitch, switch_key
from pydantic import ValidationError

from dagwire_dagit.code import Code
from dagwire_dagit.errors import ConflictingError, InvalidRequestError, UnavailableError, UnknownError
from dagwire_dagit.models import Preview, Schedule, ScheduleStatus, Tick, Ticks
from dagwire_dagit.store import Store

PREFIX: Final = "switch."


class Schedules:
    """The schedules of all code locations."""

    def __init__(self, *, bus: Bus, code: Code, store: Store, clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._code = code
        self._store = store
        self._clock = clock
        self._switches: dict[str, tuple[int, ScheduleSwitch]] = {}
        self._synced = asyncio.Event()

    async def ready(self) -> None:
        """Return when all switches are known."""
        await self._synced.wait()

    def note(self, entry: Entry | None) -> ScheduleSwitch | None:
        """Take in what the state bucket says; None is said when all that was there has been said.

        Returns:
            The switch that changed, to be told to clients; None before all was said, and for what is not new.
        """
        if entry is None:
            self._synced.set()
            return None
        known = self._switches.get(entry.key)
        if known is not None and known[0] >= entry.revision:
            return None
        if entry.value is None:
            self._switches.pop(entry.key, None)
            return None
        try:
            switch = ScheduleSwitch.model_validate_json(entry.value)
        except ValidationError:
            return None
        self._switches[entry.key] = (entry.revision, switch)
        return switch if self._synced.is_set() else None

    async def list(self) -> list[Schedule]:
        """Return the schedules of all code locations.

        Raises:
            UnavailableError: the switches or the history are not known now.
        """
        self._require_switches()
        found = list(self._all())
        ticks = await self._store.last_ticks([_id(*one) for one in found])
        return [self._schedule(location, repository, one, ticks) for location, repository, one in found]

    async def one(self, location: str, repository: str, name: str) -> Schedule:
        """Return one schedule; without its last tick if the history is away.

        Raises:
            UnknownError: there is none.
        """
        schedule = self._find(location, repository, name)
        return self._schedule(location, repository, schedule, await self._last_tick(location, repository, name))

    async def switch(self, location: str, repository: str, name: str, *, running: bool, by: RequestedBy) -> Schedule:
        """Start or stop a schedule.

        Raises:
            UnknownError: there is none.
            ConflictingError: somebody else switched it the other way at the same time.
        """
        self._find(location, repository, name)
        switch = ScheduleSwitch(
            location=location,
            repository=repository,
            schedule=name,
            status="running" if running else "stopped",
            by=by.name or by.kind,
            at=self._clock(),
        )
        await self._write(switch_key(schedule_id_for(location, repository, name)), switch)
        return await self.one(location, repository, name)

    async def ticks(self, location: str, repository: str, name: str, *, limit: int, before: datetime | None) -> Ticks:
        """Return a page of ticks, newest first.

        Raises:
            UnknownError: there is no such schedule, and it never ticked.
        """
        if before is not None and before.tzinfo is None:
            raise InvalidRequestError("query.before: give a time with its offset from UTC")
        found = await self._store.ticks(schedule_id_for(location, repository, name), limit=limit, before=before)
        if not found and before is None:
            self._find(location, repository, name)
        return Ticks(ticks=found, next=found[-1].nominal_time.isoformat() if len(found) == limit else None)

    def preview(self, location: str, repository: str, name: str, *, count: int) -> Preview:
        """Return the next ticks by the cron rule."""
        schedule = self._find(location, repository, name)
        ticks = cron.ticks_after(schedule.cron_schedules, schedule.execution_timezone, self._clock())
        return Preview(ticks=list(islice(ticks, count)))

    async def _write(self, key: str, switch: ScheduleSwitch) -> None:
        """Write the switch over what is there, unless somebody else does at the same time."""
        entry = await self._bus.state.get(key)
        if _says(entry, switch.status):
            self._remember(entry)
            return
        value = switch.model_dump_json().encode()
        try:
            revision = await self._bus.state.put(key, value, revision=entry.revision if entry is not None else 0)
        except ConflictError as error:
            entry = await self._bus.state.get(key)
            self._remember(entry)
            if not _says(entry, switch.status):
                raise ConflictingError(
                    "somebody else switched the schedule at the same time; look, and decide again",
                    code="switch_conflict",
                ) from error
            return
        self._remember(Entry(key=key, value=value, revision=revision))

    def _remember(self, entry: Entry | None) -> None:
        """Know one's own write before the watch tells it, which then is nothing new."""
        if entry is not None and entry.value is not None:
            self._switches[entry.key] = (entry.revision, ScheduleSwitch.model_validate_json(entry.value))

    async def _last_tick(self, location: str, repository: str, name: str) -> Mapping[ScheduleId, Tick]:
        try:
            return await self._store.last_ticks([schedule_id_for(location, repository, name)])
        except UnavailableError:
            return {}

    def _require_switches(self) -> None:
        if not self._synced.is_set():
            raise UnavailableError(
                "which schedules are on is not known yet: the bus cannot be reached", code="bus_unavailable"
            )

    def _all(self) -> Iterator[tuple[str, str, pb.Schedule]]:
        for state, found in self._code.all_repositories():
            for schedule in found.schedules:
                yield state.name, found.name, schedule

    def _find(self, location: str, repository: str, name: str) -> pb.Schedule:
        _, found = self._code.repository(location, repository)
        for schedule in found.schedules:
            if schedule.name == name:
                return schedule
        known = ", ".join(schedule.name for schedule in found.schedules) or "none"
        raise UnknownError(
            f"the repository {repository!r} has no schedule {name!r}; it has: {known}", code="schedule_unknown"
        )

    def _schedule(
        self, location: str, repository: str, found: pb.Schedule, ticks: Mapping[ScheduleId, Tick]
    ) -> Schedule:
        schedule_id = schedule_id_for(location, repository, found.name)
        default = ScheduleStatus.RUNNING if found.default_running else ScheduleStatus.STOPPED
        switched = self._switches.get(switch_key(schedule_id))
        status = default if switched is None else ScheduleStatus(switched[1].status.upper())
        return Schedule(
            location=location,
            repository=repository,
            name=found.name,
            schedule_id=schedule_id,
            job=found.job,
            preset=found.preset if found.HasField("preset") else None,
            description=found.description,
            cron_schedules=list(found.cron_schedules),
            execution_timezone=found.execution_timezone or "UTC",
            status=status,
            default_status=default,
            next_tick=self._next_tick(found) if status is ScheduleStatus.RUNNING else None,
            last_tick=ticks.get(schedule_id),
        )

    def _next_tick(self, found: pb.Schedule) -> datetime | None:
        try:
            return cron.next_tick(found.cron_schedules, found.execution_timezone, self._clock())
        except cron.InvalidCronError:
            return None  # the code server let it pass; the scheduler's log says what is wrong with it


def _id(location: str, repository: str, schedule: pb.Schedule) -> ScheduleId:
    return schedule_id_for(location, repository, schedule.name)


def _says(entry: Entry | None, status: str) -> bool:
    if entry is None or entry.value is None:
        return False
    try:
        return ScheduleSwitch.model_validate_json(entry.value).status == status
    except ValidationError:
        return False
