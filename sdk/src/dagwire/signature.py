"""What the parameters of a user's function ask for: context, config, resources, inputs. It reads and runs nothing."""

import inspect
import types
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin

from dagwire.annotations import Nothing, annotations_of
from dagwire.config.model import Config
from dagwire.configurable import ConfigurableResource, is_resource_annotation
from dagwire.context import OpExecutionContext
from dagwire.errors import DefinitionError
from dagwire.ports import MISSING, In, Out
from dagwire.results import Output

_CONTEXT_NAMES: Final = {"context", "_context", "_", "__"}
_GENERATORS: Final = (Iterator, Generator, AsyncIterator, AsyncGenerator)
_BY_POSITION: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Signature:
    """The parameters of an op's function, sorted by what they ask for."""

    context: str | None
    config: Any
    """The annotation of the parameter ``config``; ``MISSING`` without one."""
    resources: Mapping[str, str]
    """Resource keys by parameter."""
    inputs: Mapping[str, In]
    returns: Any
    """The return annotation; ``MISSING`` without one."""


def read_signature(function: Callable[..., Any], owner: str) -> Signature:
    """Return what a function's parameters ask for.

    Raises:
        DefinitionError: a parameter cannot be filled by keyword, or its annotation says two things.
    """
    hints = annotations_of(function, owner)
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind not in _BY_POSITION:
            raise DefinitionError(f"{owner}: parameter {parameter} must have a name to be passed by; drop * and /")
    context = _context_name(parameters, hints)
    resources: dict[str, str] = {}
    inputs: dict[str, In] = {}
    config: Any = MISSING
    for parameter in parameters:
        name, hint = parameter.name, hints.get(parameter.name, MISSING)
        if name == context:
            continue
        if name == "config":
            config = _config_hint(hint, owner)
        elif is_resource_annotation(hint):
            resources[name] = name
        else:
            inputs[name] = _input(parameter, hint, owner)
    return Signature(context, config, resources, inputs, hints.get("return", MISSING))


def _context_name(parameters: list[inspect.Parameter], hints: Mapping[str, Any]) -> str | None:
    if not parameters:
        return None
    first = parameters[0].name
    hint = hints.get(first)
    is_context = isinstance(hint, type) and issubclass(hint, OpExecutionContext)
    return first if is_context or first in _CONTEXT_NAMES else None


def _config_hint(hint: Any, owner: str) -> Any:
    if hint is MISSING:
        raise DefinitionError(f"{owner}: annotate the parameter 'config' with a Config class")
    if isinstance(hint, type) and issubclass(hint, ConfigurableResource):
        raise DefinitionError(f"{owner}: 'config' is the op's config; give the resource parameter another name")
    return hint


def _input(parameter: inspect.Parameter, hint: Any, owner: str) -> In:
    if isinstance(hint, type) and issubclass(hint, Config):
        raise DefinitionError(f"{owner}: parameter {parameter.name!r} is a Config: name it 'config'")
    default = MISSING if parameter.default is inspect.Parameter.empty else parameter.default
    return In(hint, default_value=default)


def output_type(annotation: Any) -> Any:
    """Return the type of the value of one output: ``Output[int]`` gives ``int``, ``None`` gives ``Nothing``."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation is None or annotation is type(None):
        return Nothing
    if get_origin(annotation) is Output:
        return get_args(annotation)[0]
    return Any if annotation is Output else annotation


def outputs_of(out: Out | Mapping[str, Out] | None, returns: Any, function: Callable[..., Any]) -> dict[str, Out]:
    """Return an op's outputs, completed by what its return annotation says."""
    streams = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    known = Any if streams else returns  # a generator's annotation says what it yields, not under which name
    if isinstance(out, Mapping):
        return _named_outputs(out, known)
    yielded = _yielded(returns) if streams else MISSING
    if yielded is not MISSING:
        known = yielded
    return {"result": (out or Out()).completed(MISSING if known is MISSING else output_type(known))}


def _named_outputs(out: Mapping[str, Out], returns: Any) -> dict[str, Out]:
    if len(out) == 1:
        ((name, only),) = out.items()
        return {name: only.completed(MISSING if returns in (MISSING, Any) else output_type(returns))}
    parts = get_args(returns) if get_origin(returns) is tuple else ()
    if len(parts) != len(out) or Ellipsis in parts:
        return dict(out)
    return {name: one.completed(output_type(part)) for (name, one), part in zip(out.items(), parts, strict=True)}


def _yielded(returns: Any) -> Any:
    """Return the type of ``Iterator[Output[int]]``'s one output; MISSING if the annotation does not say."""
    if get_origin(returns) not in _GENERATORS:
        return MISSING
    items = get_args(returns)[0]
    members = get_args(items) if get_origin(items) is types.UnionType else (items,)
    outputs = [one for one in members if get_origin(one) is Output]
    return outputs[0] if len(outputs) == 1 else MISSING
