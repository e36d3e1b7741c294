"""Running a job in this process: what happens, in which order, and what is told about it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from dagwire import (
    AssetKey,
    AssetMaterialization,
    Config,
    ExecutionError,
    ExpectationResult,
    Failure,
    In,
    InvocationError,
    MetadataValue,
    Nothing,
    Out,
    Output,
    TypeCheckError,
    graph,
    job,
    op,
)
from dagwire_shared.events import (
    AssetMaterialized,
    ExpectationChecked,
    FailureCause,
    InputLoaded,
    LogLevel,
    LogWritten,
    OutputProduced,
    RunFailed,
    RunPlanned,
    RunSucceeded,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)


@op
def number() -> int:
    return 1


@op
def add(x: int, y: int = 1) -> int:
    return x + y


@op
def total(xs: list[int]) -> int:
    return sum(xs)


@op
def broken() -> int:
    raise ValueError("no number today")


@op(out={"even": Out(int, is_required=False), "odd": Out(int, is_required=False)})
def sort(x: int) -> Iterator[Output[int]]:
    yield Output(x, "odd" if x % 2 else "even")


def of(result, kind):
    return [event for event in result.events if isinstance(event, kind)]


def test_values_flow_from_op_to_op():
    @job
    def j():
        add(add(number()), number())

    result = j.execute_in_process()
    assert result.success
    assert result.output_for_node("add") == 2
    assert result.output_for_node("add_2") == 3


def test_the_events_of_a_step_come_in_order():
    @job
    def j():
        add(number())

    events = j.execute_in_process().events
    assert [type(event) for event in events] == [
        RunPlanned,
        StepStarted,
        OutputProduced,
        StepSucceeded,
        StepStarted,
        InputLoaded,
        InputLoaded,
        OutputProduced,
        StepSucceeded,
        RunSucceeded,
    ]
    loaded = [(event.input, event.upstream) for event in events if isinstance(event, InputLoaded)]
    assert loaded == [("x", ["number.result"]), ("y", [])]


def test_the_plan_is_told_first_with_the_config_as_the_run_gets_it():
    class Limit(Config):
        limit: int = 10

    @op
    def load(config: Limit) -> int:
        return config.limit

    @job
    def j():
        add(load())

    planned = j.execute_in_process().events[0]
    assert isinstance(planned, RunPlanned)
    assert planned.executor == "in_process"
    assert [(step.key, step.depends_on) for step in planned.steps] == [("load", []), ("add", ["load"])]
    assert planned.run_config == {"ops": {"load": {"config": {"limit": 10}}}}


def test_fan_in_collects_in_the_order_of_the_list():
    @op
    def shown(xs: list[int]) -> list[int]:
        return xs

    @job
    def j():
        shown([add(number()), number()])

    assert j.execute_in_process().output_for_node("shown") == [2, 1]


def test_an_output_that_is_not_produced_skips_what_needs_it():
    @job
    def j():
        parts = sort(number())
        add.alias("with_odd")(parts.odd)
        add.alias("after")(add.alias("with_even")(parts.even))

    result = j.execute_in_process()
    assert result.success
    assert result.output_for_node("with_odd") == 2
    assert result.skipped_nodes() == {
        "with_even": "output 'even' of 'sort' was not produced",
        "after": "upstream step 'with_even' was skipped",
    }


def test_fan_in_does_without_outputs_that_are_not_produced():
    @job
    def j():
        parts = sort(number())
        total([add.alias("odd")(parts.odd), add.alias("even")(parts.even)])

    result = j.execute_in_process()
    assert result.output_for_node("total") == 2
    assert result.skipped_nodes() == {"even": "output 'even' of 'sort' was not produced"}


def test_fan_in_of_nothing_at_all_is_skipped():
    @job
    def j():
        total([add(sort(number()).even)])

    assert j.execute_in_process().skipped_nodes().keys() == {"add", "total"}


def test_a_failed_op_skips_only_what_depends_on_it():
    @job
    def j():
        total([number(), add(broken())])
        add.alias("unhurt")(number())

    result = j.execute_in_process(raise_on_error=False)
    assert not result.success
    assert result.output_for_node("unhurt") == 2
    assert result.skipped_nodes() == {
        "add": "upstream step 'broken' failed",
        "total": "upstream step 'add' did not run because 'broken' failed",
    }
    assert set(result.failed_nodes()) == {"broken"}


def test_a_failed_run_says_which_steps_failed_and_why():
    @job
    def j():
        broken()
        broken()
        number()

    failure = j.execute_in_process(raise_on_error=False).failure
    assert failure is not None
    assert failure.cause is FailureCause.STEP_FAILED
    assert failure.message == "2 of 3 steps failed: broken, broken_2"
    assert failure.error is not None
    assert (failure.error.type, failure.error.message) == ("ValueError", "no number today")


def test_what_an_op_raises_is_raised_unless_it_is_not_wanted():
    @job
    def j():
        broken()

    with pytest.raises(ValueError, match="no number today"):
        j.execute_in_process()
    assert isinstance(j.execute_in_process(raise_on_error=False).events[-1], RunFailed)


def test_a_failure_is_told_with_its_chain_of_causes_and_the_users_frames():
    @op
    def wrapped():
        try:
            {}["missing"]
        except KeyError as error:
            raise RuntimeError("outer") from error

    @job
    def j():
        wrapped()

    (failed,) = of(j.execute_in_process(raise_on_error=False), StepFailed)
    assert (failed.error.type, failed.error.message) == ("RuntimeError", "outer")
    assert failed.error.cause is not None
    assert (failed.error.cause.type, failed.error.cause.message) == ("KeyError", "'missing'")
    assert len(failed.error.stack) == 1
    assert __file__ in failed.error.stack[0]
    assert 'raise RuntimeError("outer") from error' in failed.error.stack[0]


def test_failing_on_purpose_leaves_its_metadata_in_the_log():
    @op
    def refuse():
        raise Failure("too few rows", metadata={"rows": 3})

    @job
    def j():
        refuse()

    result = j.execute_in_process(raise_on_error=False)
    (line,) = of(result, LogWritten)
    assert (line.level, line.message, line.fields) == (LogLevel.ERROR, "too few rows", {"rows": 3})
    assert result.failed_nodes()["refuse"].type == "dagwire.Failure"


def test_an_op_that_ends_the_program_fails_alone():
    @op
    def leave():
        raise SystemExit(3)

    @job
    def j():
        leave()
        number()

    result = j.execute_in_process(raise_on_error=False)
    assert result.failed_nodes()["leave"].type == "SystemExit"
    assert result.output_for_node("number") == 1


def test_nothing_orders_and_carries_no_value():
    seen = []

    @op
    def first() -> None:
        seen.append("first")

    @op(ins={"start": In(Nothing)})
    def second(x: int) -> None:
        seen.append(f"second {x}")

    @job
    def j():
        second(number(), start=[first(), number()])

    result = j.execute_in_process()
    assert seen == ["first", "second 1"]
    assert [event.input for event in of(result, InputLoaded)] == ["x"]


def test_several_outputs_are_returned_in_a_tuple():
    @op(out={"a": Out(int), "b": Out(str)})
    def two() -> tuple[int, Output[str]]:
        return 1, Output("x", metadata={"length": 1})

    @job
    def j():
        two()

    result = j.execute_in_process()
    assert (result.output_for_node("two", "a"), result.output_for_node("two", "b")) == (1, "x")
    metadata = {event.output: event.metadata for event in of(result, OutputProduced)}
    assert metadata["a"] == {}
    assert metadata["b"]["length"].value == 1


def test_an_op_may_return_one_of_several_optional_outputs():
    @op(out={"a": Out(int, is_required=False), "b": Out(int, is_required=False)})
    def one():
        return Output(1, "b")

    @op(out={"a": Out(int, is_required=False), "b": Out(int, is_required=False)})
    def none():
        return None

    @job
    def j():
        add(one().b)
        add(none().a)

    result = j.execute_in_process()
    assert result.output_for_node("add") == 2
    assert result.skipped_nodes() == {"add_2": "output 'a' of 'none' was not produced"}


def test_async_ops_and_async_generators_run():
    @op
    async def later() -> int:
        await asyncio.sleep(0)
        return 1

    @op
    async def stream(x: int):
        yield AssetMaterialization("table")
        await asyncio.sleep(0)
        yield Output(x + 1)

    @job
    def j():
        add(stream(later()))

    result = j.execute_in_process()
    assert result.output_for_node("add") == 3
    assert [event.asset_key for event in of(result, AssetMaterialized)] == [["table"]]


def test_materializations_and_expectations_are_told_where_they_happen():
    @op
    def write(context) -> Iterator[Any]:
        yield AssetMaterialization(AssetKey(["lake", "days"]), "All days.", metadata={"rows": 3, "kind": "parquet"})
        yield ExpectationResult(False, "not empty", metadata={"rows": 0})
        context.log_event(AssetMaterialization("plain"))
        context.log_event(ExpectationResult(True))
        yield Output(1)

    @job
    def j():
        write()

    result = j.execute_in_process()
    assert result.success
    assets = result.asset_materializations_for_node("write")
    assert [event.asset_key for event in assets] == [["lake", "days"], ["plain"]]
    assert assets[0].description == "All days."
    assert {label: (one.kind, one.value) for label, one in assets[0].metadata.items()} == {
        "rows": ("int", 3),
        "kind": ("text", "parquet"),
    }
    checks = [(event.label, event.success) for event in of(result, ExpectationChecked)]
    assert checks == [("not empty", False), ("expectation", True)]


def test_output_metadata_comes_from_the_output_and_from_the_context():
    @op
    def rows(context):
        context.add_output_metadata({"rows": 3, "note": "a"})
        return Output([], metadata={"note": MetadataValue.md("*b*")})

    @job
    def j():
        rows()

    (produced,) = of(j.execute_in_process(), OutputProduced)
    assert {label: (one.kind, one.value) for label, one in produced.metadata.items()} == {
        "rows": ("int", 3),
        "note": ("md", "*b*"),
    }


def test_nested_graphs_run_under_dotted_keys():
    @graph
    def plus_two(x: int):
        return add(add(x))

    @job
    def j():
        return plus_two(plus_two.alias("again")(number()))

    result = j.execute_in_process()
    assert result.output_value() == 5
    assert [event.step_key for event in of(result, StepStarted)] == [
        "number",
        "again.add",
        "again.add_2",
        "plus_two.add",
        "plus_two.add_2",
    ]


def test_a_graph_runs_with_values_that_config_cannot_express():
    class Frame:
        rows = 3

    @op
    def count(frame: Frame) -> int:
        return frame.rows

    @graph
    def g(frame: Frame):
        return count(frame)

    assert g.execute_in_process(input_values={"frame": Frame()}).output_value() == 3


def test_the_context_knows_the_run():
    seen = {}

    @op
    def look(context):
        seen.update(
            run_id=context.run_id,
            job=context.job_name,
            tags=dict(context.run_tags),
            step=context.step_key,
            op=context.op.name,
            tag=context.get_tag("a"),
            has=(context.has_tag("a"), context.has_tag("b")),
        )

    @job(tags={"a": "1"})
    def j():
        look.alias("looking")()

    run_id = "11111111-1111-1111-1111-111111111111"
    j.execute_in_process(run_id=run_id, tags={"c": "2"})
    assert seen == {
        "run_id": run_id,
        "job": "j",
        "tags": {"a": "1", "c": "2"},
        "step": "looking",
        "op": "look",
        "tag": "1",
        "has": (True, False),
    }


def expect_step_error(function, kind, message, **options: Any):
    definition = op(**options)(function) if options else op(function)

    @job
    def j():
        definition()

    with pytest.raises(kind, match=message):
        j.execute_in_process()


def test_a_value_of_another_type_than_annotated_fails_the_step():
    def f() -> int:
        return "x"

    expect_step_error(f, TypeCheckError, "output 'result' of op 'f' is a str, but its annotation says int")


def test_an_input_is_checked_against_its_own_annotation():
    @op
    def loose() -> Any:
        return "x"

    @job
    def j():
        add(loose())

    with pytest.raises(TypeCheckError, match="input 'x' of op 'add' is a str, but its annotation says int"):
        j.execute_in_process()


def test_a_required_output_that_is_not_yielded_fails_the_step():
    def f():
        yield ExpectationResult(True)

    expect_step_error(f, ExecutionError, r"op 'f' did not produce its output 'result'; yield Output\(value, 'result'\)")


def test_an_output_that_is_yielded_twice_fails_the_step():
    def f():
        yield Output(1)
        yield Output(2)

    expect_step_error(f, ExecutionError, "op 'f' produces its output 'result' twice")


def test_yielding_a_plain_value_fails_the_step():
    def f():
        yield 3

    expect_step_error(f, ExecutionError, "op 'f' yields a int; an op that yields, yields Output")


def test_an_output_for_an_unknown_name_fails_the_step():
    def f():
        return Output(1, "other")

    expect_step_error(
        f, ExecutionError, "op 'f' gives an Output for 'other', which it has not; its outputs are: result"
    )


def test_an_output_without_a_name_fails_where_there_are_several():
    def f():
        yield Output(1)

    out = {"a": Out(), "b": Out()}
    expect_step_error(f, ExecutionError, "op 'f' gives an Output without saying for which", out=out)


def test_the_wrong_number_of_values_fails_the_step():
    def f():
        return 1, 2, 3

    expect_step_error(
        f, ExecutionError, "op 'f' returns a tuple of 3; it has the outputs a, b", out={"a": Out(), "b": Out()}
    )


def test_returning_an_event_fails_the_step():
    def f():
        return AssetMaterialization("x")

    expect_step_error(f, ExecutionError, "op 'f' returns a AssetMaterialization; yield it, or use context.log_event")


def test_metadata_for_no_output_in_particular_fails_where_there_are_several():
    def f(context):
        context.add_output_metadata({"rows": 1})
        return 1, 2

    out = {"a": Out(), "b": Out()}
    expect_step_error(f, InvocationError, "step 'f': say which output the metadata is of: a, b", out=out)


def test_asking_the_result_for_what_was_not_produced_says_what_was():
    @job
    def j():
        sort(number())

    result = j.execute_in_process()
    with pytest.raises(
        InvocationError, match=r"output 'even' of 'sort' was not produced; produced are: number\.result, "
    ):
        result.output_for_node("sort", "even")
    with pytest.raises(InvocationError, match="job 'j' returns no 'result'; it returns: none"):
        result.output_value()


def test_a_generator_is_closed_when_its_step_fails():
    closed = []

    @op
    def stream() -> Iterator[Output[int]]:
        try:
            yield Output("not a number")  # type: ignore[misc] -- that is the point
        finally:
            closed.append(True)

    @job
    def j():
        stream()

    j.execute_in_process(raise_on_error=False)
    assert closed == [True]


def test_skips_are_told():
    @job
    def j():
        add(broken())

    (skipped,) = of(j.execute_in_process(raise_on_error=False), StepSkipped)
    assert (skipped.step_key, skipped.reason) == ("add", "upstream step 'broken' failed")
