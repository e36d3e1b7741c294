"""A run config's shape as a tree of sections and leaves: its JSON Schema, its defaults, and checking against it.

Pure: nothing here knows jobs or ops; ``layout`` builds the tree of a job.
"""

import difflib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, PydanticUndefined, to_json, to_jsonable_python

from dagwire.errors import ConfigFault
from dagwire.ports import MISSING

Path = tuple[str, ...]


class LeafKey(NamedTuple):
    """What a leaf's value is kept under."""

    kind: str
    key: Hashable


@dataclass(frozen=True)
class Leaf:
    """A place whose value is the user's own: checked by pydantic, kept under ``key``."""

    key: LeafKey
    adapter: TypeAdapter[Any]
    required: bool = True
    """Whether a run needs it to be given; False: it has a default, or may be absent."""
    default: Any = MISSING
    """What is validated in place of nothing; ``MISSING``: nothing."""
    description: str | None = None


@dataclass(frozen=True)
class Section:
    """A place with fixed names below it."""

    fields: Mapping[str, "Section | Leaf"] = field(default_factory=dict)
    description: str | None = None

    @property
    def required(self) -> bool:
        """Whether something below must be given."""
        return any(one.required for one in self.fields.values())


@dataclass
class Checked:
    """The outcome of a check."""

    partial: bool = False
    values: dict[LeafKey, Any] = field(default_factory=dict)
    """The validated value of each leaf that has one."""
    faults: list[ConfigFault] = field(default_factory=list)


def check(section: Section, config: Any, *, partial: bool = False) -> tuple[dict[str, Any], Checked]:
    """Return the config with every default filled in, the leaves' values, and every fault.

    Args:
        section: the shape.
        config: what is checked.
        partial: what is missing is no fault; it may still be laid over this config.
    """
    checked = Checked(partial=partial)
    filled = _check_section(section, config, (), checked)
    return filled, checked


def _check_section(section: Section, config: Any, path: Path, checked: Checked) -> dict[str, Any]:
    if not isinstance(config, Mapping):
        checked.faults.append(ConfigFault(path, f"this is a mapping, not {type(config).__name__}"))
        return {}
    for name in config:
        if name not in section.fields:
            checked.faults.append(ConfigFault((*path, str(name)), _unknown(str(name), section.fields)))
    filled: dict[str, Any] = {}
    for name, part in section.fields.items():
        value = config.get(name, MISSING)
        done = _check_part(part, value, (*path, name), checked)
        if done is not MISSING:
            filled[name] = done
    return filled


def _check_part(part: Section | Leaf, value: Any, path: Path, checked: Checked) -> Any:
    if isinstance(part, Section):
        below = _check_section(part, {} if value in (MISSING, None) else value, path, checked)
        return below or MISSING
    if value is MISSING:
        if part.required and not checked.partial:
            checked.faults.append(ConfigFault(path, "a value is required here"))
            return MISSING
        if part.required or part.default is MISSING:
            return MISSING
        value = part.default
    return _check_leaf(part, value, path, checked)


def _check_leaf(leaf: Leaf, value: Any, path: Path, checked: Checked) -> Any:
    try:
        # As JSON and strictly: what passes here passes the JSON Schema, and "3" is not 3.
        valid = leaf.adapter.validate_json(to_json(value), strict=True)
        shown = leaf.adapter.dump_python(valid, mode="json")
    except ValidationError as error:
        checked.faults.extend(_faults(error, path, partial=checked.partial))
        return MISSING
    except (PydanticSerializationError, ValueError) as error:
        checked.faults.append(ConfigFault(path, f"the value cannot be expressed as JSON: {error}"))
        return MISSING
    checked.values[leaf.key] = valid
    return shown


def _faults(error: ValidationError, path: Path, *, partial: bool) -> Iterator[ConfigFault]:
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        if partial and fault["type"] == "missing":
            continue
        yield ConfigFault((*path, *(str(part) for part in fault["loc"])), fault["msg"])


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"there is no {name!r} here; did you mean {near[0]!r}?"
    names = ", ".join(sorted(known)) or "nothing"
    return f"there is no {name!r} here; possible: {names}"


_MASK: Final = str(SecretStr("any"))


def defaults(section: Section) -> dict[str, Any]:
    """Return every default below a section; what has none is left out, and so are secrets.

    People edit these and launch with them: a masked secret would take the place of the real one.
    """
    filled: dict[str, Any] = _without_secrets(_defaults(section))
    return filled


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(one) for key, one in value.items() if one != _MASK}
    return value


def _defaults(section: Section) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for name, part in section.fields.items():
        value = _defaults(part) if isinstance(part, Section) else _leaf_default(part)
        if value is not MISSING and value != {}:
            filled[name] = value
    return filled


def _leaf_default(leaf: Leaf) -> Any:
    if leaf.default is not MISSING:
        try:
            return leaf.adapter.dump_python(leaf.adapter.validate_json(to_json(leaf.default)), mode="json")
        except ValidationError:
            pass  # some of its fields have no default; those that have follow
    model = getattr(leaf.adapter, "_type", None)
    return model_defaults(model) if isinstance(model, type) and issubclass(model, BaseModel) else MISSING


def model_defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return the defaults of a model's fields as JSON, those of nested models included."""
    found: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        value = info.get_default(call_default_factory=True, validated_data={})
        if value is not PydanticUndefined:
            found[info.alias or name] = to_jsonable_python(value)
        elif isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found[info.alias or name] = model_defaults(info.annotation)
    return found


def json_schema(section: Section) -> dict[str, Any]:
    """Return the JSON Schema of a whole run config; shared definitions stand under ``$defs``."""
    leaves = list(_leaves(section, ()))
    inputs = [(path, "validation", leaf.adapter) for path, leaf in leaves]
    schemas: dict[Any, Any] = {}
    shared: Mapping[str, Any] = {}
    if inputs:
        schemas, shared = TypeAdapter.json_schemas(inputs)  # type: ignore[arg-type]
    schema = _section_schema(section, (), {path: schemas[path, "validation"] for path, _ in leaves})
    definitions = shared.get("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        **({"$defs": definitions} if definitions else {}),
    }


def _section_schema(section: Section, path: Path, schemas: Mapping[Path, Any]) -> dict[str, Any]:
    properties = {}
    for name, part in section.fields.items():
        here = (*path, name)
        if isinstance(part, Section):
            properties[name] = _section_schema(part, here, schemas)
        else:
            properties[name] = {**schemas[here], **({"description": part.description} if part.description else {})}
    required = [name for name, part in section.fields.items() if part.required]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
        **({"description": section.description} if section.description else {}),
    }


def _leaves(section: Section, path: Path) -> Iterator[tuple[Path, Leaf]]:
    for name, part in section.fields.items():
        if isinstance(part, Section):
            yield from _leaves(part, (*path, name))
        else:
            yield (*path, name), part
