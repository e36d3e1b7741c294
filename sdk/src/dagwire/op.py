"""Ops: the unit of work. The decorator reads a function's signature; running it is the executor's business."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, overload

from pydantic import TypeAdapter, ValidationError

from dagwire.annotations import Nothing, fits
from dagwire.composition import NodeDefinition, PendingNode, current_body, place, source_line, valid_name
from dagwire.config.model import adapter_of, config_value, describe
from dagwire.context import OpExecutionContext
from dagwire.errors import DefinitionError, InvocationError
from dagwire.ports import MISSING, In, Out
from dagwire.signature import Signature, outputs_of, read_signature

OpFunction = Callable[..., Any]


class OpDefinition(NodeDefinition):
    """An op: a function with typed inputs and outputs. Call it in a ``@job`` or ``@graph`` to place it there.

    Called anywhere else, it runs the function: that is how ops are tested.
    """

    kind = "op"

    def __init__(
        self,
        compute_fn: OpFunction,
        *,
        name: str | None = None,
        description: str | None = None,
        ins: Mapping[str, In] | None = None,
        out: Out | Mapping[str, Out] | None = None,
        options: "OpOptions | None" = None,
    ) -> None:
        name = compute_fn.__name__ if name is None else name
        owner = f"op {name!r} ({source_line(compute_fn)})"
        options = options or OpOptions()
        self.compute_fn: Final = compute_fn
        self.signature: Final[Signature] = read_signature(compute_fn, owner)
        super().__init__(
            name,
            description=description or inspect.getdoc(compute_fn),
            tags=options.tags,
            ins=_inputs(self.signature, ins or {}, owner),
            outs=outputs_of(out, self.signature.returns, compute_fn),
            source=source_line(compute_fn),
        )
        self.config_schema: Final = _config_schema(self.signature, options, owner)
        """What its config is declared as; ``MISSING``: it takes none."""
        self.config_adapter: Final[TypeAdapter[Any] | None] = (
            None if self.config_schema is MISSING else adapter_of(self.config_schema, owner)
        )
        self.required_resource_keys: Final = frozenset(
            valid_name(key, f"{owner}: required resource") for key in options.required_resource_keys
        ) | frozenset(self.signature.resources.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Place the op in the graph that is being composed; outside of one, run its function."""
        body = current_body()
        if body is not None:
            return place(body, PendingNode(self), args, kwargs)
        return invoke(self, args, kwargs)


class OpOptions:
    """What an op asks for beside inputs and outputs."""

    def __init__(
        self,
        config_schema: Any = MISSING,
        required_resource_keys: set[str] | frozenset[str] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        self.config_schema: Final = config_schema
        self.required_resource_keys: Final = frozenset(required_resource_keys or ())
        self.tags: Final = tags or {}


@overload
def op(compute_fn: OpFunction) -> OpDefinition: ...
@overload
def op(
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    config_schema: Any = MISSING,
    required_resource_keys: set[str] | frozenset[str] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> Callable[[OpFunction], OpDefinition]: ...
def op(
    compute_fn: OpFunction | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    config_schema: Any = MISSING,
    required_resource_keys: set[str] | frozenset[str] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> OpDefinition | Callable[[OpFunction], OpDefinition]:
    """Make an op of a function.

    Its parameters say what it takes: a first parameter ``context``, a parameter ``config`` annotated with a
    ``Config`` class, resources by their annotation, and inputs, which are all others. Its return annotation
    says what it gives.

    Args:
        compute_fn: the function, where the decorator stands without parentheses.
        name: the op's name; the function's if not given.
        description: what it does; the docstring if not given.
        ins: more about inputs, by parameter; and inputs of type ``Nothing``, which have no parameter.
        out: its output, or several by name.
        config_schema: what config it takes, where it is read from ``context.op_config``.
        required_resource_keys: resources that it reads from ``context.resources``.
        tags: free labels; ``dagwire/kubernetes`` says what the pods of its steps shall be like.
    """
    options = OpOptions(config_schema, required_resource_keys, tags)

    def decorate(function: OpFunction) -> OpDefinition:
        if not callable(function):
            raise DefinitionError(f"@op stands before a function, not before {function!r}")
        return OpDefinition(function, name=name, description=description, ins=ins, out=out, options=options)

    return decorate if compute_fn is None else decorate(compute_fn)


def invoke(definition: OpDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run an op's function directly, as a test does: ``clean(build_op_context(), rows)``.

    Raises:
        InvocationError: the context, the config or a resource is missing.
    """
    signature, owner = definition.signature, f"op {definition.name!r}"
    context = args[0] if args and isinstance(args[0], OpExecutionContext) else None
    if context is not None:
        args = args[1:]
    elif signature.context is not None:
        raise InvocationError(f"{owner}: pass build_op_context() as its first argument; its function takes a context")
    call = dict(zip(signature.inputs, args, strict=False))
    if len(args) > len(signature.inputs):
        raise InvocationError(f"{owner}: {len(args)} values for {len(signature.inputs)} inputs")
    call.update(kwargs)
    for name in set(definition.ins) - set(signature.inputs):
        call.pop(name, None)
    config = _direct_config(definition, context) if "config" not in kwargs else kwargs["config"]
    if signature.context is not None and context is not None:
        call[signature.context] = context.with_config(config_value(definition.config_schema, config))
    for parameter, key in signature.resources.items():
        if parameter not in call and context is not None:
            call[parameter] = getattr(context.resources, key)
    if signature.config is not MISSING and "config" not in call:
        call["config"] = config
    try:
        inspect.signature(definition.compute_fn).bind(**call)
    except TypeError as error:
        raise InvocationError(f"{owner}: {error}") from error
    return definition.compute_fn(**call)


def _direct_config(definition: OpDefinition, context: OpExecutionContext | None) -> Any:
    given = context.op_config if context is not None else None
    if definition.config_adapter is None:
        return given
    try:
        return definition.config_adapter.validate_python({} if given is None else given)
    except ValidationError as error:
        raise InvocationError(f"op {definition.name!r}: its config does not fit: {describe(error)}") from error


def _inputs(signature: Signature, given: Mapping[str, In], owner: str) -> dict[str, In]:
    unknown = [name for name, one in given.items() if name not in signature.inputs and one.annotation is not Nothing]
    if unknown:
        raise DefinitionError(
            f"{owner}: input {unknown[0]!r} is no parameter of its function; "
            "only inputs of type Nothing have no parameter"
        )
    ordering = [name for name, one in given.items() if name in signature.inputs and one.annotation is Nothing]
    if ordering:
        raise DefinitionError(f"{owner}: input {ordering[0]!r} is Nothing, so it cannot be a parameter of its function")
    inputs = {
        name: given.get(name, In()).completed(one.type, one.default_value) for name, one in signature.inputs.items()
    }
    for name, one in inputs.items():
        if one.has_default and not fits(one.default_value, one.annotation) and one.default_value is not None:
            raise DefinitionError(
                f"{owner}: input {name!r}: its default {one.default_value!r:.80} is not of type {one.type_name}"
            )
    return {**inputs, **{name: one for name, one in given.items() if name not in inputs}}


def _config_schema(signature: Signature, options: OpOptions, owner: str) -> Any:
    if signature.config is not MISSING and options.config_schema is not MISSING:
        raise DefinitionError(f"{owner}: declare its config once: as the parameter 'config' or as config_schema")
    return signature.config if signature.config is not MISSING else options.config_schema
