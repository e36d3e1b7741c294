"""What users write: ``Config`` classes, schemas as plain mappings, and whole run configs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, TypeAdapter, ValidationError, create_model
from pydantic import Field as PydanticField
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_jsonable_python

from dagwire.errors import DefinitionError
from dagwire.ports import MISSING

RunConfigDict: TypeAlias = dict[str, Any]
"""A run config as JSON: ``{"ops": {"load": {"config": {"limit": 10}}}}``."""


class Config(BaseModel):
    """The base of an op's config: declare fields, and take it as the op's parameter ``config``.

    The docstring below a field is its description in the Playground.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    __documented_by__: ClassVar[type | None] = None
    """The class whose source has the docstrings, where it is not this one."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON Schema with the fields' descriptions, read from the source when somebody asks."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in _docstrings(cls.__documented_by__ or cls).items():
            if name in properties:
                properties[name].setdefault("description", text)
        return schema


def _docstrings(cls: type) -> dict[str, str]:
    # Imported where it is needed: only who shows a schema pays for it.
    from dagwire_shared.docstrings import attribute_docstrings  # noqa: PLC0415

    try:
        return attribute_docstrings(cls)
    except (SyntaxError, ValueError):  # the file has changed since it was imported
        return {}


class PermissiveConfig(Config):
    """A config that accepts fields it does not declare."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Field:
    """One entry of a config schema that is written as a mapping: ``{"limit": Field(int, default_value=10)}``."""

    config: Any
    default_value: Any = MISSING
    is_required: bool | None = None
    description: str | None = None


@dataclass
class RunConfig:
    """A run config in Python terms; the values may be ``Config`` objects or plain mappings."""

    ops: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def to_config_dict(self) -> RunConfigDict:
        """Return it as JSON; a ``Config`` object stands for ``{"config": …}``."""
        parts = {
            "ops": {name: _wrapped(value) for name, value in self.ops.items()},
            "resources": {name: _wrapped(value) for name, value in self.resources.items()},
            "execution": dict(self.execution),
            "inputs": dict(self.inputs),
        }
        return {name: to_jsonable_python(part) for name, part in parts.items() if part}


AnyRunConfig: TypeAlias = RunConfig | Mapping[str, Any] | None


def as_run_config(value: AnyRunConfig) -> RunConfigDict:
    """Return a run config as JSON, however the user wrote it."""
    if value is None:
        return {}
    if isinstance(value, RunConfig):
        return value.to_config_dict()
    plain: RunConfigDict = to_jsonable_python(dict(value))
    return plain


def merge_config(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid on it: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_config(old, value) if both and old is not None else value
    return merged


def adapter_of(schema: Any, owner: str) -> TypeAdapter[Any]:
    """Return what validates a config of this schema: a ``Config`` class, any type, or a mapping of fields.

    Raises:
        DefinitionError: pydantic cannot make a schema of it.
    """
    if isinstance(schema, Field):
        schema = schema.config
    try:
        return TypeAdapter(model_of(schema) if isinstance(schema, Mapping) else schema)
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
        raise DefinitionError(f"{owner}: its config type {schema!r} has no schema ({error})") from error


def model_of(schema: Mapping[str, Any]) -> type[Config]:
    """Return the model of a config schema that is written as a mapping of names to types, fields or mappings."""
    fields: dict[str, Any] = {name: _field(value) for name, value in schema.items()}
    model: type[Config] = create_model("Config", __base__=Config, **fields)
    return model


def config_value(schema: Any, value: Any) -> Any:
    """Return a validated config as user code gets it: a mapping where its schema is one, else as it is."""
    return value.model_dump() if isinstance(schema, Mapping) and isinstance(value, BaseModel) else value


def describe(error: ValidationError) -> str:
    """Return what is wrong and where, on one line."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in one['loc']) or 'it'}: {one['msg']}" for one in faults)


def _field(value: Any) -> tuple[Any, Any]:
    entry = value if isinstance(value, Field) else Field(value)
    kind = model_of(entry.config) if isinstance(entry.config, Mapping) else entry.config
    if entry.default_value is not MISSING:
        return kind, PydanticField(entry.default_value, description=entry.description)
    if entry.is_required is False:
        return kind | None, PydanticField(None, description=entry.description)
    return kind, PydanticField(description=entry.description)


def _wrapped(value: Any) -> Any:
    return {"config": value.model_dump(mode="json", exclude_unset=True)} if isinstance(value, BaseModel) else value
