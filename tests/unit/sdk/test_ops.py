"""Ops: what the decorator reads from a function, and calling one directly."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from dagwire import (
    AssetMaterialization,
    Config,
    ConfigurableResource,
    DefinitionError,
    Field,
    In,
    InvocationError,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    Output,
    ResourceParam,
    build_op_context,
    op,
)


class Limit(Config):
    limit: int = 10


class Database(ConfigurableResource):
    url: str = "db"


def types(ports):
    return {name: port.type_name for name, port in ports.items()}


def test_the_decorator_works_with_and_without_parentheses():
    @op
    def bare() -> int:
        return 1

    @op()
    def called() -> int:
        return 1

    assert isinstance(bare, OpDefinition)
    assert isinstance(called, OpDefinition)
    assert (bare.name, called.name) == ("bare", "called")


def test_inputs_and_the_output_come_from_the_annotations():
    @op
    def add(x: int, y: float = 2.0) -> float:
        return x + y

    assert types(add.ins) == {"x": "int", "y": "float"}
    assert not add.ins["x"].has_default
    assert add.ins["y"].default_value == 2.0
    assert types(add.outs) == {"result": "float"}


def test_without_annotations_everything_is_any():
    @op
    def loose(x):
        return x

    assert types(loose.ins) == {"x": "Any"}
    assert types(loose.outs) == {"result": "Any"}


def test_an_op_that_returns_none_has_an_output_that_only_orders():
    @op
    def act() -> None: ...

    assert types(act.outs) == {"result": "Nothing"}


def test_ins_and_out_complete_the_annotations():
    @op(ins={"x": In(description="how many")}, out=Out(description="twice as many"))
    def twice(x: int) -> int:
        return 2 * x

    assert (twice.ins["x"].type_name, twice.ins["x"].description) == ("int", "how many")
    assert (twice.outs["result"].type_name, twice.outs["result"].description) == ("int", "twice as many")


def test_dagster_type_says_the_type_under_the_name_that_moved_code_uses():
    @op(ins={"x": In(dagster_type=int)}, out=Out(dagster_type=str))
    def show(x):
        return str(x)

    assert (types(show.ins), types(show.outs)) == ({"x": "int"}, {"result": "str"})


def test_several_outputs_take_their_types_from_a_tuple():
    @op(out={"count": Out(), "name": Out()})
    def two() -> tuple[int, str]:
        return 1, "a"

    assert types(two.outs) == {"count": "int", "name": "str"}


def test_the_type_inside_output_is_the_outputs_type():
    @op
    def one() -> Output[int]:
        return Output(1)

    @op
    def stream() -> Iterator[Output[str]]:
        yield Output("a")

    @op
    async def async_stream() -> AsyncIterator[Output[str]]:
        yield Output("a")

    assert types(one.outs) == {"result": "int"}
    assert types(stream.outs) == {"result": "str"}
    assert types(async_stream.outs) == {"result": "str"}


def test_a_nothing_input_has_no_parameter():
    @op(ins={"start": In(Nothing)})
    def after(x: int) -> None: ...

    assert list(after.ins) == ["x", "start"]
    assert types(after.ins)["start"] == "Nothing"


def test_description_name_and_tags():
    @op(name="other", tags={"kind": "sql", "cores": 2})
    def function() -> None:
        """What it does.

        At length.
        """

    assert function.name == "other"
    assert function.description == "What it does.\n\nAt length."
    assert function.tags == {"kind": "sql", "cores": "2"}


def test_the_first_parameter_named_context_is_no_input():
    @op
    def by_name(context, x: int) -> None: ...

    @op
    def by_type(ctx: OpExecutionContext, x: int) -> None: ...

    @op
    def unused(_, x: int) -> None: ...

    assert list(by_name.ins) == list(by_type.ins) == list(unused.ins) == ["x"]


def test_the_config_parameter_is_no_input():
    @op
    def load(config: Limit) -> None: ...

    assert load.ins == {}
    assert load.config_schema is Limit


def test_a_config_may_be_a_plain_value():
    @op
    def load(config: int) -> None: ...

    assert load.config_schema is int


def test_resources_are_asked_for_by_key_by_class_and_by_mark():
    @op(required_resource_keys={"cache"})
    def use(db: Database, client: ResourceParam[Any], x: int) -> None: ...

    assert use.required_resource_keys == {"cache", "db", "client"}
    assert list(use.ins) == ["x"]


def test_an_op_called_directly_runs_its_function():
    @op
    def add(x: int, y: int = 2) -> int:
        return x + y

    assert add(1) == 3
    assert add(1, 1) == 2
    assert add(x=1, y=5) == 6


def test_a_direct_call_gets_context_config_and_resources():
    @op(required_resource_keys={"cache"})
    def use(context, db: Database, config: Limit, x: int) -> str:
        return f"{context.resources.cache} {db.url} {config.limit} {x} {context.run_tags['k']}"

    context = build_op_context(
        resources={"cache": "c", "db": Database(url="u")}, op_config={"limit": 3}, run_tags={"k": "v"}
    )
    assert use(context, 1) == "c u 3 1 v"
    assert use(context, config=Limit(limit=4), x=2) == "c u 4 2 v"


def test_config_that_is_read_from_the_context_has_its_defaults_in_a_direct_call():
    @op(config_schema={"limit": Field(int, default_value=7)})
    def load(context) -> int:
        return context.op_config["limit"]

    assert load(build_op_context()) == 7
    assert load(build_op_context(op_config={"limit": 1})) == 1


def test_a_direct_call_ignores_what_only_orders():
    @op(ins={"start": In(Nothing)})
    def after(x: int) -> int:
        return x

    assert after(1, start=None) == 1


def test_what_a_direct_call_logs_as_events_can_be_read():
    @op
    def write(context) -> None:
        context.log_event(AssetMaterialization("table"))
        context.add_output_metadata({"rows": 1})

    context = build_op_context()
    write(context)
    assert [event.key.to_user_string() for event in context.get_events()] == ["table"]
    assert context.get_output_metadata() == {"rows": 1}


def test_a_direct_call_without_what_the_function_needs_says_so():
    @op
    def use(context, x: int) -> None: ...

    @op
    def plain(x: int) -> None: ...

    @op
    def configured(config: Limit) -> int:
        return config.limit

    with pytest.raises(InvocationError, match="op 'use': pass build_op_context"):
        use(1)
    with pytest.raises(InvocationError, match="op 'plain': missing a required argument: 'x'"):
        plain()
    with pytest.raises(InvocationError, match="op 'plain': 2 values for 1 inputs"):
        plain(1, 2)
    with pytest.raises(InvocationError, match="op 'configured': its config does not fit: limit: "):
        configured(build_op_context(op_config={"limit": "many"}))


def test_a_resource_that_is_not_asked_for_is_not_given():
    context = build_op_context(resources={"db": 1})
    with pytest.raises(AttributeError, match=r"does not ask for the resource 'cache' \(it asks for: db\)"):
        _ = context.resources.cache


@pytest.mark.parametrize("keyword", ["*args", "**kwargs", "x, /"])
def test_a_parameter_without_a_usable_name_is_refused(keyword):
    space: dict[str, Any] = {}
    exec(f"def function({keyword}): ...", space)  # noqa: S102 -- three signatures, one test
    with pytest.raises(DefinitionError, match=r"op 'function' .*must have a name to be passed by"):
        op(space["function"])
