"""Resources: what ops need from the outside, set up before and torn down after them."""

import inspect
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias, overload

from pydantic import TypeAdapter

from dagwire.composition import valid_name
from dagwire.config.model import adapter_of
from dagwire.context import Resources, RunInfo
from dagwire.errors import DefinitionError
from dagwire.ports import MISSING


@dataclass(frozen=True)
class InitResourceContext:
    """What a resource's function gets: its config, the resources it asked for, the run, and a logger."""

    resource_config: Any = None
    resources: Resources = field(default_factory=lambda: Resources({}, "this resource"))
    storage_directory: Path | None = None
    """Where the run may keep files."""
    run: RunInfo | None = None
    """The run; None where resources are set up outside of one."""
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("dagwire.resource"))

    @property
    def run_id(self) -> str | None:
        """The run's id."""
        return None if self.run is None else self.run.run_id


ResourceFunction: TypeAlias = Callable[..., Any]


class ResourceDefinition:
    """A resource: how it is made, what config it takes, which other resources it needs."""

    def __init__(
        self,
        resource_fn: ResourceFunction,
        config_schema: Any = None,
        description: str | None = None,
        required_resource_keys: set[str] | frozenset[str] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.name: Final[str] = name or str(getattr(resource_fn, "__name__", "resource"))
        owner = f"resource {self.name!r}"
        self.resource_fn: Final = resource_fn
        self.description: Final = description or inspect.getdoc(resource_fn) or None
        self.required_resource_keys: Final = frozenset(
            valid_name(key, f"{owner}: required resource") for key in required_resource_keys or ()
        )
        self.config_schema: Final = config_schema
        self._wants_context = _takes_context(resource_fn, owner)

    def __repr__(self) -> str:
        return f"<resource {self.name}>"

    @cached_property
    def config_adapter(self) -> TypeAdapter[Any] | None:
        """What validates its config; None if it takes none. Made when a job has the resource, not on import."""
        return None if self.config_schema is None else adapter_of(self.config_schema, f"resource {self.name!r}")

    @staticmethod
    def hardcoded_resource(value: Any, description: str | None = None) -> "ResourceDefinition":
        """Return a resource that is always this value."""
        return ResourceDefinition(lambda: value, description=description, name=type(value).__name__)

    def open(self, context: InitResourceContext) -> AbstractContextManager[Any]:
        """Return a block that sets the resource up and tears it down."""
        return self._opened(context)

    @contextmanager
    def _opened(self, context: InitResourceContext) -> Iterator[Any]:
        made: Any = self.resource_fn(context) if self._wants_context else self.resource_fn()
        if isinstance(made, Generator):
            with _generated(made, self.name) as value:
                yield value
        else:
            yield made


@contextmanager
def _generated(generator: Generator[Any, None, None], name: str) -> Iterator[Any]:
    """Yield what a generator yields; run what follows its yield at the end, whatever happens in between."""
    try:
        value = next(generator)
    except StopIteration:
        raise DefinitionError(f"resource {name!r} yields nothing; a generator resource yields once") from None
    try:
        yield value
    finally:
        more = next(generator, MISSING)
        generator.close()
    if more is not MISSING:
        raise DefinitionError(f"resource {name!r} yields twice; what follows its one yield is the tear-down")


def _takes_context(function: ResourceFunction, owner: str) -> bool:
    parameters = inspect.signature(function).parameters.values()
    needed = [one for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    if len(needed) > 1:
        raise DefinitionError(f"{owner}: its function takes one parameter, the InitResourceContext, or none")
    return bool(needed)


@overload
def resource(config_schema: ResourceFunction) -> ResourceDefinition: ...
@overload
def resource(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: set[str] | frozenset[str] | None = None,
) -> Callable[[ResourceFunction], ResourceDefinition]: ...
def resource(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: set[str] | frozenset[str] | None = None,
) -> ResourceDefinition | Callable[[ResourceFunction], ResourceDefinition]:
    """Make a resource of a function that returns it, or of a generator that yields it once and then tears it down.

    Args:
        config_schema: what config it takes: a ``Config`` class, or a mapping of names to types.
        description: what it is for; the docstring if not given.
        required_resource_keys: other resources that it needs, set up before it.
    """
    if inspect.isfunction(config_schema):
        return ResourceDefinition(config_schema)

    def decorate(function: ResourceFunction) -> ResourceDefinition:
        return ResourceDefinition(function, config_schema, description, required_resource_keys)

    return decorate
