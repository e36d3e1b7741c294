"""The schedules of a code location, as values. Pure: reads a location's definitions, asks nobody."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared import cron
from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.ids import ScheduleId, check_location, check_name, schedule_id_for
from dagwire_shared.locations import Location

from dagwire_scheduler.ticks import CatchUp, Rule

_log: Final = logging.getLogger(__name__)

_CATCH_UP: Final[Mapping[int, CatchUp]] = {
    pb.CATCH_UP_UNSPECIFIED: CatchUp.LATEST,
    pb.CATCH_UP_SKIP: CatchUp.SKIP,
    pb.CATCH_UP_LATEST: CatchUp.LATEST,
    pb.CATCH_UP_ALL: CatchUp.ALL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which schedule it is, whatever its code says now."""

    id: ScheduleId
    location: str
    repository: str
    name: str

    @classmethod
    def of(cls, location: str, repository: str, name: str) -> "Identity":
        """Return the identity of a schedule with these names.

        Raises:
            InvalidIdentifierError: one of them cannot name what it names.
        """
        found = schedule_id_for(check_location(location), check_name(repository), check_name(name))
        return cls(id=found, location=location, repository=repository, name=name)

    @property
    def facts(self) -> dict[str, str]:
        """What the log says of it."""
        return {"location": self.location, "repository": self.repository, "schedule": self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as its code defines it now."""

    identity: Identity
    rule: Rule
    definition: pb.Schedule
    jobs: Mapping[str, pb.Job]
    """The jobs of its repository: what it may ask for."""

    @property
    def catch_up(self) -> CatchUp:
        """What happens to ticks that were missed."""
        return _CATCH_UP.get(self.definition.catch_up, CatchUp.LATEST)

    @property
    def default_running(self) -> bool:
        """Whether it runs as long as nobody switched it."""
        return self.definition.default_running


def schedules_of(location: Location) -> dict[ScheduleId, Schedule]:
    """Return a location's schedules by id. One that cannot be understood is logged and left out."""
    found: dict[ScheduleId, Schedule] = {}
    for repository in location.repositories.values():
        jobs = {job.name: job for job in repository.jobs}
        for definition in repository.schedules:
            try:
                schedule = _schedule(location.name, repository.name, definition, jobs)
            except (InvalidIdentifierError, cron.InvalidCronError) as error:
                facts = {"location": location.name, "repository": repository.name, "schedule": definition.name}
                _log.error("schedule cannot run: %s", error, extra=facts)
                continue
            found[schedule.identity.id] = schedule
    return found


def _schedule(location: str, repository: str, definition: pb.Schedule, jobs: Mapping[str, pb.Job]) -> Schedule:
    rule = Rule(tuple(definition.cron_schedules), definition.execution_timezone)
    for expression in rule.cron_schedules:
        cron.check(expression, rule.timezone)
    identity = Identity.of(location, repository, definition.name)
    return Schedule(identity=identity, rule=rule, definition=definition, jobs=jobs)
