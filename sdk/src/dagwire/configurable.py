"""Resources as classes: their fields are their config, their methods what ops use."""

import copy
import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Annotated, Any, Self, TypeAlias, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from dagwire.config.model import Config
from dagwire.errors import DefinitionError, ExecutionError
from dagwire.resource import InitResourceContext, ResourceDefinition

T = TypeVar("T")


class _ResourceMark:
    """Marks a parameter's annotation as a resource."""


ResourceParam: TypeAlias = Annotated[T, _ResourceMark()]
"""``db: ResourceParam[Connection]``: the op's parameter is the resource of that name."""


class EnvVar(str):
    """The value of an environment variable, read when the resource is set up: ``Warehouse(password=EnvVar("PW"))``."""

    __slots__ = ()

    def get_value(self, default: str | None = None) -> str | None:
        """Return the variable's value here and now."""
        return os.environ.get(self, default)


class ConfigurableResource(BaseModel):
    """A resource as a class: its fields are its config, its methods are what ops use.

    Override ``setup_for_execution`` and ``teardown_after_execution``, or ``yield_for_execution``. A field that
    is itself a ``ConfigurableResource`` is set up first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, **values: Any) -> None:
        if any(isinstance(value, EnvVar) for value in values.values()):
            _construct(self, values)  # validated when the environment is known: at set-up
        else:
            super().__init__(**values)

    def setup_for_execution(self, context: InitResourceContext) -> None:
        """Prepare it, before the first op that uses it."""

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        """Release what it holds, after the last op."""

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[Self]:
        """Set up and tear down in one block."""
        self.setup_for_execution(context)
        try:
            yield self
        finally:
            self.teardown_after_execution(context)


def _construct(resource: ConfigurableResource, values: Mapping[str, Any]) -> None:
    cls = type(resource)
    unknown = values.keys() - cls.model_fields.keys()
    absent = {name for name, info in cls.model_fields.items() if info.is_required()} - values.keys()
    if unknown or absent:
        problem = f"has no field {min(unknown)!r}" if unknown else f"needs the field {min(absent)!r}"
        raise DefinitionError(f"resource {cls.__name__} {problem}")
    made = cls.model_construct(**values)
    for slot in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
        object.__setattr__(resource, slot, getattr(made, slot))


ResourceLike: TypeAlias = Any
"""A ``ResourceDefinition``, a ``ConfigurableResource``, or any other object, which then is the resource itself."""


def as_resource(value: ResourceLike, key: str, owner: str) -> ResourceDefinition:
    """Return the definition of what a user put under ``resource_defs[key]``."""
    if isinstance(value, ResourceDefinition):
        return value
    if isinstance(value, ConfigurableResource):
        return _of_instance(value)
    if isinstance(value, type) and issubclass(value, ConfigurableResource):
        raise DefinitionError(f"{owner}: resource {key!r} is the class {value.__name__}; pass an instance of it")
    return ResourceDefinition.hardcoded_resource(value)


def _of_instance(instance: ConfigurableResource) -> ResourceDefinition:
    cls = type(instance)
    values = {name: getattr(instance, name) for name in cls.model_fields}
    nested = {name: value for name, value in values.items() if isinstance(value, ConfigurableResource)}
    fixed = {name: value for name, value in values.items() if isinstance(value, EnvVar) or not _has_schema(cls, name)}
    free = {name: value for name, value in values.items() if name not in nested and name not in fixed}

    def opened(context: InitResourceContext) -> Iterator[Any]:
        with ExitStack() as stack:
            inner = replace(context, resource_config=None)  # what is nested has the config that its instance has
            parts = {name: stack.enter_context(_of_instance(one).open(inner)) for name, one in nested.items()}
            config = (
                {name: getattr(context.resource_config, name) for name in free} if context.resource_config else free
            )
            read = {name: _read(value, cls) if isinstance(value, EnvVar) else value for name, value in fixed.items()}
            made = cls.model_validate({**config, **read, **parts})
            yield stack.enter_context(made.yield_for_execution(context))

    description = inspect.cleandoc(cls.__doc__) if cls.__doc__ else None
    return ResourceDefinition(opened, _config_model(cls, free) if free else None, description, name=cls.__name__)


def _has_schema(cls: type[ConfigurableResource], name: str) -> bool:
    try:
        TypeAdapter(cls.model_fields[name].rebuild_annotation())
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
        return False
    return True


def _config_model(cls: type[ConfigurableResource], values: Mapping[str, Any]) -> type[Config]:
    """Return the model of what a run config may set: the instance's values are its defaults."""
    fields: dict[str, Any] = {}
    for name, value in values.items():
        info = copy.copy(cls.model_fields[name])
        info.default, info.default_factory = value, None
        fields[name] = (info.annotation, info)
    model: type[Config] = create_model(cls.__name__, __base__=Config, **fields)
    model.__documented_by__ = cls
    return model


def _read(variable: EnvVar, cls: type[ConfigurableResource]) -> str:
    value = variable.get_value()
    if value is None:
        raise ExecutionError(
            f"resource {cls.__name__} needs the environment variable {str(variable)!r}, which is not set"
        )
    return value


def is_resource_annotation(annotation: Any) -> bool:
    """Return whether a parameter so annotated is a resource."""
    if isinstance(annotation, type):
        return issubclass(annotation, ConfigurableResource)
    return get_origin(annotation) is Annotated and any(isinstance(one, _ResourceMark) for one in get_args(annotation))
