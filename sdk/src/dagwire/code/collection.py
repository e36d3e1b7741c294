"""Decides what a module serves: its repositories, or one made of its bare jobs and schedules. Imports no user code."""

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Final, TypeVar

from dagwire.code.errors import load_error
from dagwire.graph import GraphDefinition
from dagwire.job import JobDefinition
from dagwire.repository import DEFAULT_REPOSITORY, Definitions, RepositoryDefinition
from dagwire.schedule import ScheduleDefinition

_EXPECTED: Final = "a @repository, Definitions or a @job"
_SERVED: Final = (RepositoryDefinition, Definitions, JobDefinition, ScheduleDefinition)

_Named = TypeVar("_Named", JobDefinition, ScheduleDefinition, RepositoryDefinition)


def collect(module: ModuleType, *, attribute: str | None, place: str) -> dict[str, RepositoryDefinition]:
    """Return the repositories that a module serves, by name.

    Args:
        module: the imported module.
        attribute: the one name to serve (dots reach into objects); None: everything at the module's top level.
        place: the module as its user calls it, for messages.

    Raises:
        CodeLoadError: there is nothing to serve, or two things share a name.
    """
    if attribute is not None:
        return _repositories([_attribute(module, attribute, place)], place)
    # The same job under two names is one job.
    values = {id(value): value for value in vars(module).values() if isinstance(value, _SERVED)}
    if not values:
        package = hasattr(module, "__path__")
        hint = "; a package serves what its __init__.py imports" if package else ""
        raise load_error(f"{place} defines nothing to serve: it needs {_EXPECTED} at its top level{hint}")
    return _repositories(list(values.values()), place)


def _attribute(module: ModuleType, attribute: str, place: str) -> object:
    value: object = module
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise load_error(f"{place} has no attribute {attribute!r}; {_candidates(module)}") from None
    if isinstance(value, GraphDefinition):
        return value.to_job()
    if not isinstance(value, _SERVED):
        kind = type(value).__name__
        raise load_error(f"{attribute!r} of {place} is a value of type {kind}, not {_EXPECTED}; {_candidates(module)}")
    return value


def _candidates(module: ModuleType) -> str:
    names = sorted(name for name, value in vars(module).items() if isinstance(value, _SERVED))
    return f"it could serve {', '.join(names)}" if names else "it has nothing to serve"


def _repositories(values: Sequence[object], place: str) -> dict[str, RepositoryDefinition]:
    repositories = [value for value in values if isinstance(value, RepositoryDefinition)]
    repositories += [value.repository for value in values if isinstance(value, Definitions)]
    if not repositories:
        jobs = _by_name((value for value in values if isinstance(value, JobDefinition)), "jobs", place)
        schedules = _by_name((value for value in values if isinstance(value, ScheduleDefinition)), "schedules", place)
        repositories = [RepositoryDefinition(DEFAULT_REPOSITORY, jobs=jobs, schedules=schedules)]
    return dict(_by_name(repositories, "repositories", place))


def _by_name(items: Iterable[_Named], what: str, place: str) -> Mapping[str, _Named]:
    named: dict[str, _Named] = {}
    for item in items:
        if item.name in named:
            raise load_error(f"{place} defines two {what} named {item.name!r}: rename one of them")
        named[item.name] = item
    return named
