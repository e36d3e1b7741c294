"""Decides what a module serves: its repositories, or one made of its bare jobs and schedules. Imports nothing."""

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Final, TypeVar

from dagwire import Definitions, JobDefinition, RepositoryDefinition, ScheduleDefinition
from dagwire.code.errors import load_error

IMPLICIT_REPOSITORY: Final = "__repository__"
"""The name of the repository of a module that declares none."""

_EXPECTED: Final = "a @repository, Definitions, or a @job"
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
        return _from_values([_attribute(module, attribute, place)], place)
    values = list({id(value): value for value in vars(module).values()}.values())
    found = [value for value in values if isinstance(value, _SERVED)]
    if not found:
        raise load_error(
            f"{place} defines nothing to serve: it needs {_EXPECTED} at its top level"
            + (" (a package serves what its __init__.py holds)" if hasattr(module, "__path__") else "")
        )
    return _from_values(found, place)


_SERVED: Final = (RepositoryDefinition, Definitions, JobDefinition, ScheduleDefinition)


def _attribute(module: ModuleType, attribute: str, place: str) -> object:
    value: object = module
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise load_error(
                f"{place} has no attribute {attribute!r}; it could serve {_listed(_candidates(module))}"
            ) from None
    if not isinstance(value, _SERVED):
        raise load_error(
            f"{attribute!r} of {place} is {_kind(value)}, expected {_EXPECTED};"
            f" it could serve {_listed(_candidates(module))}"
        )
    return value


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"


def _candidates(module: ModuleType) -> list[str]:
    return sorted(name for name, value in vars(module).items() if isinstance(value, _SERVED))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "nothing"


def _from_values(values: Sequence[object], place: str) -> dict[str, RepositoryDefinition]:
    repositories = [value for value in values if isinstance(value, RepositoryDefinition)]
    repositories += [_of_definitions(value) for value in values if isinstance(value, Definitions)]
    if not repositories:
        jobs = [value for value in values if isinstance(value, JobDefinition)]
        schedules = [value for value in values if isinstance(value, ScheduleDefinition)]
        repositories = [_implicit(jobs, schedules, place)]
    return dict(_by_name(repositories, "repositories", place))


def _by_name(items: Iterable[_Named], what: str, place: str) -> Mapping[str, _Named]:
    named: dict[str, _Named] = {}
    for item in items:
        if item.name in named:
            raise load_error(f"{place} defines two {what} named {item.name!r}: rename one of them")
        named[item.name] = item
    return named


def _of_definitions(definitions: Definitions) -> RepositoryDefinition:
    return definitions.get_repository_def()


def _implicit(
    jobs: Iterable[JobDefinition], schedules: Iterable[ScheduleDefinition], place: str
) -> RepositoryDefinition:
    return RepositoryDefinition(
        name=IMPLICIT_REPOSITORY,
        description="",
        jobs=_by_name(jobs, "jobs", place),
        schedules=_by_name(schedules, "schedules", place),
    )
