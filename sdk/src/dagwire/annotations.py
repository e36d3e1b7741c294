"""What an annotation says: its name for people, whether one fits another, whether a value fits it.

The answer is "no" only where that is certain; everything that cannot be decided passes.
"""

import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from dagwire.errors import DefinitionError


class Nothing:
    """The type of an input that only orders, and of an output that carries no value."""


_PROMOTIONS: Final = {(int, float), (int, complex), (float, complex)}
_ELEMENTWISE: Final = (list, set, frozenset)


def annotations_of(function: Callable[..., Any], owner: str) -> dict[str, Any]:
    """Return the resolved annotations of a function.

    Raises:
        DefinitionError: an annotation names something that cannot be found at run time.
    """
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise DefinitionError(
            f"{owner}: its annotations cannot be read ({error}); import what they name at run time, "
            "not under TYPE_CHECKING or inside a function"
        ) from error


def type_name(annotation: Any) -> str:
    """Return how an annotation is shown to people: ``int``, ``list[str]``, ``DataFrame``, ``Nothing``."""
    if annotation is Any:
        return "Any"
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    if isinstance(annotation, NewType | TypeVar):
        return str(annotation.__name__)
    return _compound_name(annotation)


def _compound_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(arguments[0])
    if _is_union(origin):
        return " | ".join(type_name(one) for one in arguments)
    if origin is Literal:
        return f"Literal[{', '.join(repr(one) for one in arguments)}]"
    if origin is not None and arguments:
        shown = ", ".join("..." if one is Ellipsis else type_name(one) for one in arguments)
        return f"{type_name(origin)}[{shown}]"
    return str(annotation).removeprefix("typing.")


def can_flow(source: Any, target: Any) -> bool:
    """Return False when no value of ``source`` can be one of ``target``."""
    source, target = _plain(source), _plain(target)
    if target is Nothing or Any in (source, target) or source is target:
        return True
    if source is Nothing:
        return type(None) in _alternatives(target)
    sources, targets = _alternatives(source), _alternatives(target)
    if len(sources) > 1 or len(targets) > 1:
        return any(can_flow(one, other) for one in sources for other in targets)
    if get_origin(source) is Literal:
        return any(fits(value, target) for value in get_args(source))
    if get_origin(target) is Literal:
        return any(fits(value, source) for value in get_args(target))
    return _classes_flow(source, target)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the one annotation."""
    return get_args(annotation) if _is_union(get_origin(annotation)) else (annotation,)


def _classes_flow(source: Any, target: Any) -> bool:
    outer_source, outer_target = get_origin(source) or source, get_origin(target) or target
    if not (isinstance(outer_source, type) and isinstance(outer_target, type)):
        return True
    if not _related(outer_source, outer_target):
        return False
    given, wanted = get_args(source), get_args(target)
    comparable = outer_source is outer_target or outer_source in _ELEMENTWISE
    if not comparable or len(given) != len(wanted) or Ellipsis in (*given, *wanted):
        return True
    return all(can_flow(one, other) for one, other in zip(given, wanted, strict=True))


def _related(source: type, target: type) -> bool:
    if (source, target) in _PROMOTIONS or _is_unchecked(source) or _is_unchecked(target):
        return True
    try:
        return issubclass(source, target) or issubclass(target, source)
    except TypeError:  # a class whose metaclass refuses the question
        return True


def fits(value: Any, annotation: Any) -> bool:
    """Return False when ``value`` is certainly not of the annotated type. Elements of containers are not looked at."""
    annotation = _plain(annotation)
    if annotation is Any:
        return True
    if annotation is Nothing:
        return value is None
    origin = get_origin(annotation)
    if origin is Literal:
        return value in get_args(annotation)
    if _is_union(origin):
        return any(fits(value, one) for one in get_args(annotation))
    return _is_instance(value, origin or annotation)


def _is_instance(value: Any, cls: Any) -> bool:
    if not isinstance(cls, type) or _is_unchecked(cls):
        return True
    if cls in (float, complex) and isinstance(value, int | float) and not isinstance(value, bool):
        return True
    try:
        return isinstance(value, cls)
    except TypeError:  # a class whose metaclass refuses the question
        return True


def element_of(annotation: Any) -> Any:
    """Return what the elements of a list-like annotation are, for fan-in; None if it is certainly no list."""
    plain = _plain(annotation)
    if plain in (Any, Nothing):
        return plain
    outer = get_origin(plain) or plain
    if not isinstance(outer, type):
        return Any
    if not can_flow(list, outer):
        return None
    arguments = get_args(plain)
    return arguments[0] if len(arguments) == 1 else Any


def _plain(annotation: Any) -> Any:
    """Return the annotation without what does not change its values: Annotated, NewType, type variables."""
    if annotation is None:
        return type(None)
    if isinstance(annotation, NewType):
        return _plain(annotation.__supertype__)
    if isinstance(annotation, TypeVar | str | typing.ForwardRef | typing.ParamSpec):
        return Any
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    return annotation


def _is_union(origin: Any) -> bool:
    return origin is Union or origin is types.UnionType


def _is_unchecked(cls: type) -> bool:
    """Return whether ``isinstance`` cannot tell: a protocol, or a TypedDict."""
    return bool(getattr(cls, "_is_protocol", False)) or typing.is_typeddict(cls)
