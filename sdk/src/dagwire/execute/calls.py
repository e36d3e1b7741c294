"""Calls an op's function, and makes one stream of whatever it gives: outputs, and events on the way."""

from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator, Mapping
from typing import Any

from dagwire.annotations import Nothing
from dagwire.errors import ExecutionError
from dagwire.op import OpDefinition
from dagwire.results import AssetMaterialization, ExpectationResult, OpEvent, Output


def outputs_and_events(op: OpDefinition, arguments: Mapping[str, Any]) -> Iterator[Output[Any] | OpEvent]:
    """Call the op and yield named outputs and events as they come.

    Raises:
        ExecutionError: it gives something that its outputs do not foresee, or lacks a required output.
    """
    seen: set[str] = set()
    for item in _items(op, op.compute_fn(**arguments)):
        if isinstance(item, Output):
            _check_new(op, item, seen)
        yield item
    for name, out in op.outs.items():
        if name in seen or not out.is_required:
            continue
        if out.annotation is not Nothing:
            raise ExecutionError(
                f"op {op.name!r} did not produce its output {name!r}; yield Output(value, {name!r}), "
                "or declare it Out(is_required=False)"
            )
        yield Output(None, name)


def _items(op: OpDefinition, made: Any) -> Iterator[Output[Any] | OpEvent]:
    if isinstance(made, Generator):
        return _streamed(op, made)
    if isinstance(made, AsyncGenerator | Coroutine):
        # Imported where it is needed: an op that is not async does not pay for it.
        from dagwire.execute.loops import awaited, drained  # noqa: PLC0415

        return _streamed(op, drained(made)) if isinstance(made, AsyncGenerator) else iter(_returned(op, awaited(made)))
    return iter(_returned(op, made))


def _streamed(op: OpDefinition, items: Generator[Any, None, Any]) -> Iterator[Output[Any] | OpEvent]:
    try:
        for item in items:
            match item:
                case Output():
                    yield _named(op, item)
                case AssetMaterialization() | ExpectationResult():
                    yield item
                case _:
                    raise ExecutionError(
                        f"op {op.name!r} yields a {type(item).__name__}; an op that yields, yields "
                        "Output(…), AssetMaterialization(…) or ExpectationResult(…)"
                    )
    finally:
        items.close()


def _returned(op: OpDefinition, value: Any) -> list[Output[Any]]:
    names = list(op.outs)
    if isinstance(value, Output):
        return [_named(op, value)]
    if isinstance(value, AssetMaterialization | ExpectationResult):
        raise ExecutionError(f"op {op.name!r} returns a {type(value).__name__}; yield it, or use context.log_event")
    if len(names) == 1:
        return [Output(value, names[0])]
    if isinstance(value, tuple) and len(value) == len(names):
        return [
            _named(op, one, name) if isinstance(one, Output) else Output(one, name)
            for name, one in zip(names, value, strict=True)
        ]
    if value is None and all(not out.is_required or out.annotation is Nothing for out in op.outs.values()):
        return []
    given = f"a tuple of {len(value)}" if isinstance(value, tuple) else f"a {type(value).__name__}"
    raise ExecutionError(
        f"op {op.name!r} returns {given}; it has the outputs {', '.join(names)}: return one value each"
    )


def _named(op: OpDefinition, output: Output[Any], place: str | None = None) -> Output[Any]:
    """Return an output under a name that the op has."""
    name = output.output_name or place or (next(iter(op.outs)) if len(op.outs) == 1 else None)
    if name is None or name not in op.outs:
        problem = f"for {name!r}, which it has not" if name else "without saying for which"
        raise ExecutionError(f"op {op.name!r} gives an Output {problem}; its outputs are: {', '.join(op.outs)}")
    return Output(output.value, name, metadata=output.metadata)


def _check_new(op: OpDefinition, output: Output[Any], seen: set[str]) -> None:
    assert output.output_name is not None  # noqa: S101 -- named above
    if output.output_name in seen:
        raise ExecutionError(f"op {op.name!r} produces its output {output.output_name!r} twice")
    seen.add(output.output_name)
