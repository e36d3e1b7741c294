"""Repositories and ``Definitions``: what a code location serves, checked as a whole."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar, overload

from dagwire.composition import valid_name
from dagwire.configurable import ResourceLike
from dagwire.errors import DefinitionError
from dagwire.executor import ExecutorDefinition
from dagwire.graph import GraphDefinition
from dagwire.job import JobDefinition
from dagwire.schedule import ScheduleDefinition, check_preset

DEFAULT_REPOSITORY: Final = "__repository__"
"""The name of the repository behind ``Definitions``."""

RepositoryItem: TypeAlias = JobDefinition | GraphDefinition | ScheduleDefinition
_Named = TypeVar("_Named", JobDefinition, ScheduleDefinition)


class RepositoryDefinition:
    """Jobs and schedules by name; a schedule's job is in it too."""

    def __init__(
        self,
        name: str,
        *,
        description: str | None = None,
        jobs: Mapping[str, JobDefinition] | None = None,
        schedules: Mapping[str, ScheduleDefinition] | None = None,
    ) -> None:
        self.name: Final = valid_name(name, "repository")
        self.description: Final = description
        owner = f"repository {self.name!r}"
        all_jobs = dict(jobs or {})
        for schedule in (schedules or {}).values():
            _check_schedule(schedule, all_jobs, owner)
        for job in all_jobs.values():
            job.check_resources()
        self.jobs: Final[Mapping[str, JobDefinition]] = MappingProxyType(all_jobs)
        self.schedules: Final[Mapping[str, ScheduleDefinition]] = MappingProxyType(dict(schedules or {}))

    def __repr__(self) -> str:
        return f"<repository {self.name}>"

    def get_job(self, name: str) -> JobDefinition:
        """Return a job by its name.

        Raises:
            DefinitionError: there is none of that name.
        """
        if name not in self.jobs:
            known = ", ".join(self.jobs) or "none"
            raise DefinitionError(f"repository {self.name!r} has no job {name!r}; its jobs are: {known}")
        return self.jobs[name]


def _check_schedule(schedule: ScheduleDefinition, jobs: dict[str, JobDefinition], owner: str) -> None:
    """Make sure that a schedule's job is known; one that it brings along is added."""
    if schedule.job is not None:
        jobs.setdefault(schedule.job_name, schedule.job)
    job = jobs.get(schedule.job_name)
    if job is None:
        known = ", ".join(jobs) or "none"
        raise DefinitionError(
            f"{owner}: schedule {schedule.name!r} runs the job {schedule.job_name!r}, which is not here; jobs: {known}"
        )
    check_preset(schedule, job)


def _collect(
    name: str,
    items: Iterable[RepositoryItem],
    *,
    description: str | None = None,
    resources: Mapping[str, ResourceLike] | None = None,
    executor: ExecutorDefinition | None = None,
) -> RepositoryDefinition:
    owner = f"repository {name!r}"
    jobs: dict[str, JobDefinition] = {}
    schedules: dict[str, ScheduleDefinition] = {}
    bound: dict[int, JobDefinition] = {}

    def bind(job: JobDefinition) -> JobDefinition:
        if id(job) not in bound:
            complete = job.with_resources(resources) if resources else job
            bound[id(job)] = complete.with_executor(executor) if executor else complete
        return bound[id(job)]

    for item in items:
        match item:
            case JobDefinition():
                _add(jobs, bind(item), owner)
            case GraphDefinition():
                _add(jobs, bind(item.to_job()), owner)
            case ScheduleDefinition():
                _add(schedules, item, owner)
            case _:
                raise DefinitionError(f"{owner}: {item!r:.80} is no job, graph or schedule")
    for schedule in schedules.values():
        if schedule.job is not None:
            _add(jobs, bind(schedule.job), owner)
    return RepositoryDefinition(name, description=description, jobs=jobs, schedules=schedules)


def _add(known: dict[str, _Named], item: _Named, owner: str) -> None:
    other = known.setdefault(item.name, item)
    if other is not item:
        raise DefinitionError(f"{owner}: there are two definitions named {item.name!r} ({other!r}, {item!r})")


class Definitions:
    """What a module serves: jobs and schedules; resources and an executor for those that have none of their own."""

    def __init__(
        self,
        *,
        jobs: Sequence[JobDefinition | GraphDefinition] = (),
        schedules: Sequence[ScheduleDefinition] = (),
        resources: Mapping[str, ResourceLike] | None = None,
        executor: ExecutorDefinition | None = None,
    ) -> None:
        items: list[RepositoryItem] = [*jobs, *schedules]
        self.repository: Final = _collect(DEFAULT_REPOSITORY, items, resources=resources, executor=executor)

    def get_repository_def(self) -> RepositoryDefinition:
        """Return the repository behind it."""
        return self.repository

    def get_job_def(self, name: str) -> JobDefinition:
        """Return a job by its name, with the resources it gets here."""
        return self.repository.get_job(name)


RepositoryFunction: TypeAlias = Callable[[], Sequence[RepositoryItem] | Mapping[str, Any]]


@overload
def repository(definitions_fn: RepositoryFunction) -> RepositoryDefinition: ...
@overload
def repository(
    *, name: str | None = None, description: str | None = None
) -> Callable[[RepositoryFunction], RepositoryDefinition]: ...
def repository(
    definitions_fn: RepositoryFunction | None = None, *, name: str | None = None, description: str | None = None
) -> RepositoryDefinition | Callable[[RepositoryFunction], RepositoryDefinition]:
    """Make a repository of a function that returns jobs, graphs and schedules in a list.

    Args:
        definitions_fn: the function, where the decorator stands without parentheses.
        name: the repository's name; the function's if not given.
        description: what is in it; the docstring if not given.
    """

    def decorate(function: RepositoryFunction) -> RepositoryDefinition:
        own = function.__name__ if name is None else name
        return _collect(own, _items(function(), own), description=description or inspect.getdoc(function))

    return decorate if definitions_fn is None else decorate(definitions_fn)


def _items(returned: Any, name: str) -> list[Any]:
    if isinstance(returned, Mapping):
        parts = [returned.get(kind, {}) for kind in ("jobs", "graphs", "schedules")]
        return [item for part in parts for item in (part.values() if isinstance(part, Mapping) else part)]
    if isinstance(returned, Sequence) and not isinstance(returned, str):
        return list(returned)
    raise DefinitionError(
        f"repository {name!r}: its function returns a list of jobs and schedules, not {returned!r:.80}"
    )
