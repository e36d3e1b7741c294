"""Code locations as the routes ask for them: found by name, and questions to their code servers."""

from collections.abc import Awaitable, Iterator
from datetime import timedelta
from typing import Final, NoReturn, TypeVar

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.locations import (
    InvalidRequestError,
    Location,
    LocationError,
    Locations,
    LocationUnavailableError,
    NotFoundError,
)

from dagwire_dagit import models, snapshots
from dagwire_dagit.errors import ConfigInvalidError, FailedError, UnavailableError, UnknownError

QUESTION_DEADLINE: Final = timedelta(seconds=15)
"""A person waits for the answer."""

_Answer = TypeVar("_Answer")


class Code:
    """What the code servers of the workspace say. Definitions come from memory, judgements from the server."""

    def __init__(self, locations: Locations, *, deadline: timedelta = QUESTION_DEADLINE) -> None:
        self._locations = locations
        self._deadline = deadline

    def locations(self) -> list[models.Location]:
        """Return every code location, loaded or not."""
        return [snapshots.location(state) for state in self._locations.current.values()]

    def repositories(self) -> list[models.RepositoryInfo]:
        """Return the repositories of all code locations."""
        return [snapshots.repository(state, found) for state, found in self.all_repositories()]

    def jobs(self) -> list[models.JobSummary]:
        """Return the jobs of all code locations."""
        return [
            snapshots.job_summary(state, found, job) for state, found in self.all_repositories() for job in found.jobs
        ]

    def job(self, location: str, repository: str, job: str) -> models.Job:
        """Return one job.

        Raises:
            UnknownError: there is no such job.
            UnavailableError: the location's definitions were never loaded.
        """
        state, found = self.repository(location, repository)
        return snapshots.job(state, found, self.find_job(found, job))

    async def validate(
        self, location: str, repository: str, job: str, config: models.ConfigRequest
    ) -> models.Validation:
        """Ask the code server whether a run config fits a job. Raises as ``job``."""
        _, found = self.repository(location, repository)
        self.find_job(found, job)
        answer = await self._ask(
            self._locations.validate_run_config(
                location,
                repository,
                job,
                preset=config.preset,
                run_config=config.run_config,
                deadline=self._deadline,
            )
        )
        return snapshots.validation(answer)

    async def plan(self, location: str, repository: str, job: str, config: models.ConfigRequest) -> models.Plan:
        """Ask the code server which steps a run would execute. Raises as ``job``.

        Raises:
            ConfigInvalidError: the config does not fit.
        """
        _, found = self.repository(location, repository)
        self.find_job(found, job)
        answer = await self._ask(
            self._locations.execution_plan(
                location,
                repository,
                job,
                preset=config.preset,
                run_config=config.run_config,
                deadline=self._deadline,
            )
        )
        return snapshots.plan(answer)

    def location(self, name: str) -> Location:
        """Return the state of a location whose definitions were loaded at least once. Raises as ``job``."""
        try:
            state = self._locations.get(name)
        except NotFoundError as error:
            raise UnknownError(str(error), code="location_unknown") from error
        if state.definitions_hash is None:
            cause = f": {state.error.message}" if state.error is not None else ""
            raise UnavailableError(
                f"the code location {name!r} is {state.status.value.lower()}{cause}", code="location_unavailable"
            )
        return state

    def repository(self, location: str, repository: str) -> tuple[Location, pb.Repository]:
        """Return a repository's last good definitions. Raises as ``job``."""
        state = self.location(location)
        found = state.repositories.get(repository)
        if found is None:
            known = ", ".join(state.repositories) or "none"
            raise UnknownError(
                f"the code location {location!r} has no repository {repository!r}; it has: {known}",
                code="repository_unknown",
            )
        return state, found

    def find_job(self, found: pb.Repository, name: str) -> pb.Job:
        """Return a job of a repository. Raises as ``job``."""
        for job in found.jobs:
            if job.name == name:
                return job
        known = ", ".join(job.name for job in found.jobs) or "none"
        raise UnknownError(f"the repository {found.name!r} has no job {name!r}; it has: {known}", code="job_unknown")

    def repository_of(self, location: str, job: str) -> tuple[Location, pb.Repository]:
        """Return the repository that is meant when none is named: the only one with this job.

        Raises:
            UnknownError: no repository of the location has it, or several have.
        """
        state = self.location(location)
        found = [entry for entry in state.repositories.values() if any(one.name == job for one in entry.jobs)]
        match found:
            case [one]:
                return state, one
            case []:
                raise UnknownError(f"the code location {location!r} has no job {job!r}", code="job_unknown")
            case _:
                names = ", ".join(entry.name for entry in found)
                raise UnknownError(
                    f"several repositories have a job {job!r}: name one of {names}", code="repository_unknown"
                )

    def all_repositories(self) -> Iterator[tuple[Location, pb.Repository]]:
        """Yield the repositories of all locations, each with its location."""
        for state in self._locations.current.values():
            for found in state.repositories.values():
                yield state, found

    async def _ask(self, question: Awaitable[_Answer]) -> _Answer:
        try:
            return await question
        except LocationError as error:
            _fail(error)


def _fail(error: LocationError) -> NoReturn:
    match error:
        case NotFoundError():
            raise UnknownError(str(error), code="job_unknown") from error
        case InvalidRequestError():
            raise ConfigInvalidError(str(error)) from error
        case LocationUnavailableError():
            raise UnavailableError(str(error), code="location_unavailable") from error
        case _:
            raise FailedError(str(error)) from error
