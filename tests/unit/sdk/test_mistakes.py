"""Definitions that make no sense are refused when they are made, and the message names the place."""

import re
from pathlib import Path

import pytest
from dagwire import (
    Config,
    ConfigurableResource,
    DefinitionError,
    GraphIn,
    GraphOut,
    In,
    Nothing,
    Out,
    Preset,
    ResourceDefinition,
    ScheduleDefinition,
    graph,
    job,
    mem_io_manager,
    multiprocess_executor,
    op,
    repository,
    resource,
    schedule,
)
from dagwire.composition import Node, OutputSource
from dagwire.wiring import NodeGraph


class Limit(Config):
    limit: int = 10


@op
def number() -> int:
    return 1


@op
def text() -> str:
    return ""


@op
def take(x: int) -> int:
    return x


@op
def act() -> None: ...


@op(out={"a": Out(int), "b": Out(int)})
def split():
    return 1, 2


@op(required_resource_keys={"db"})
def query() -> int:
    return 1


HERE = re.escape(Path(__file__).name) + r":\d+"


def refused(pattern):
    return pytest.raises(DefinitionError, match=pattern)


# --- ops


def test_a_parameter_of_type_config_must_be_called_config():
    with refused(rf"op 'f' \(.*{HERE}\): parameter 'settings' is a Config: name it 'config'"):

        @op
        def f(settings: Limit): ...


def test_config_must_be_annotated():
    with refused("op 'f' .*annotate the parameter 'config'"):

        @op
        def f(config): ...


def test_config_is_declared_once():
    with refused("op 'f' .*declare its config once"):

        @op(config_schema={"n": int})
        def f(config: Limit): ...


def test_a_config_without_a_schema_is_refused():
    class Opaque: ...

    with refused("op 'f' .*its config type .*Opaque.* has no schema"):

        @op
        def f(config: Opaque): ...


def test_an_input_that_is_no_parameter_is_refused():
    with refused("op 'f' .*input 'y' is no parameter of its function"):

        @op(ins={"y": In(int)})
        def f(x): ...


def test_a_nothing_input_cannot_be_a_parameter():
    with refused("op 'f' .*input 'x' is Nothing, so it cannot be a parameter"):

        @op(ins={"x": In(Nothing)})
        def f(x): ...


def test_a_default_of_another_type_is_refused():
    with refused("op 'f' .*input 'x': its default 'three' is not of type int"):

        @op
        def f(x: int = "three"): ...


@pytest.mark.parametrize("name", ["", "two words", "1st", "a.b", "a" * 64, "naïve"])
def test_a_name_that_cannot_be_a_subject_or_a_path_is_refused(name):
    with refused("op: .*is not a valid name"):

        @op(name=name)
        def f(): ...


def test_an_outputs_name_is_checked_too():
    with refused("op 'f': input or output: 'a b' is not a valid name"):

        @op(out={"a b": Out()})
        def f(): ...


def test_tags_are_text():
    with refused("op 'f': tag 'k': .* is not text"):

        @op(tags={"k": ["v"]})
        def f(): ...

    with refused("job 'j': tag 'k' is longer than 256 characters"):

        @job(tags={"k": "v" * 257})
        def j(): ...


def test_op_stands_before_a_function():
    with refused("@op stands before a function, not before 3"):
        op(3)


# --- wiring


def test_a_type_that_cannot_fit_names_both_ends_and_the_line():
    with refused(rf"job 'j', op 'take', input 'x' \(.*{HERE}\) takes int, but output 'result' of 'text' is str"):

        @job
        def j():
            take(text())


def test_an_output_without_a_value_cannot_feed_an_input():
    with refused("job 'j', op 'take', input 'x' .* takes int, but output 'result' of 'act' carries no value"):

        @job
        def j():
            take(act())


def test_the_elements_of_a_fan_in_must_fit():
    @op
    def total(xs: list[int]): ...

    with refused("op 'total', input 'xs' .* takes int, but output 'result' of 'text' is str"):

        @job
        def j():
            total([number(), text()])


def test_an_input_that_is_no_list_takes_no_list():
    with refused("op 'take', input 'x' .* takes int; it is given a list of outputs"):

        @job
        def j():
            take([number(), number()])


def test_an_unknown_input_is_named_with_those_that_exist():
    with refused(rf"job 'j', op 'take' \(.*{HERE}\): there is no input 'y'; its inputs are: x"):

        @job
        def j():
            take(y=number())


def test_too_many_arguments():
    with refused("op 'take' .*: 2 arguments for 1 inputs"):

        @job
        def j():
            take(number(), number())


def test_an_input_given_twice():
    with refused("op 'take' .*: input 'x' is given twice"):

        @job
        def j():
            take(number(), x=number())


def test_a_constant_is_no_output():
    with refused("op 'take' .*, input 'x': 3 is not an output of an op"):

        @job
        def j():
            take(3)


def test_all_outputs_at_once_are_not_one():
    with refused("op 'take' .*, input 'x': pass one output, not all of a node's .*'a'.*'b'"):

        @job
        def j():
            take(split())


def test_an_output_that_does_not_exist():
    with refused("there is no output 'c' here; there are: output 'a' of 'split', output 'b' of 'split'"):

        @job
        def j():
            take(split().c)


def test_an_output_cannot_be_tested_while_composing():
    with refused(r"output 'result' of 'number' stands for a value of the run: it cannot be tested .*is_required=False"):

        @job
        def j():
            if number():
                act()


def test_an_output_cannot_be_iterated_while_composing():
    with refused("output 'result' of 'number' .*cannot be iterated"):

        @job
        def j():
            for one in number():
                take(one)


def test_an_output_of_another_graph_is_refused():
    leaked = []

    @graph
    def inner():
        leaked.append(number())

    with refused("op 'take' .*, input 'x': output 'result' of 'number' belongs to graph 'inner'"):

        @job
        def j():
            take(leaked[0])


def test_two_nodes_cannot_have_the_same_alias():
    with refused(rf"job 'j': there are two nodes named 'a' \(.*{HERE} and .*{HERE}\); give each its own alias"):

        @job
        def j():
            number.alias("a")()
            text.alias("a")()


def test_two_different_ops_cannot_have_the_same_name():
    @op(name="number")
    def another() -> int:
        return 2

    with refused(rf"job 'j': there are two different definitions named 'number' \(.*{HERE} and .*{HERE}\)"):

        @job
        def j():
            number()
            another()


def test_a_circle_is_shown():
    a = Node("a", take, {"x": OutputSource("c", "result")})
    b = Node("b", take, {"x": OutputSource("a", "result")})
    c = Node("c", take, {"x": OutputSource("b", "result")})
    with refused("graph 'g': its nodes need each other in a circle: a → b → c → a|b → c → a → b|c → a → b → c"):
        NodeGraph("g", [a, b, c])


def test_wiring_by_hand_is_checked_as_well():
    with refused("graph 'g', op 'a', input 'x' comes from 'nobody', which is not in the graph"):
        NodeGraph("g", [Node("a", take, {"x": OutputSource("nobody", "result")})])
    with refused("input 'x' comes from output 'other' of 'n', which does not exist; its outputs are: result"):
        NodeGraph("g", [Node("n", number), Node("a", take, {"x": OutputSource("n", "other")})])
    with refused("input 'y': there is no such input"):
        NodeGraph("g", [Node("n", number), Node("a", take, {"y": OutputSource("n", "result")})])
    with refused("there are two nodes named 'n'"):
        NodeGraph("g", [Node("n", number), Node("n", number)])


# --- graphs


def test_what_a_graph_returns_must_be_an_output():
    with refused("graph 'g', output 'result': 3 is not an output of an op in its body"):

        @graph
        def g():
            return 3


def test_a_graph_cannot_return_its_own_input():
    with refused("graph 'g', output 'result': graph input 'x' is returned as it came in"):

        @graph
        def g(x):
            return x


def test_several_outputs_of_a_graph_need_names():
    with refused("graph 'g' returns 2 outputs; name them all"):

        @graph
        def g():
            return number(), text()


def test_a_graph_returns_what_it_declares():
    with refused("graph 'g' declares the outputs a, b, and returns a"):

        @graph(out={"a": GraphOut(), "b": GraphOut()})
        def g():
            return {"a": number()}


def test_a_graphs_input_is_a_parameter():
    with refused("graph 'g': input 'y' is no parameter of its function"):

        @graph(ins={"y": GraphIn()})
        def g(x): ...


def test_a_graph_is_called_in_a_body_only():
    @graph
    def g(): ...

    with refused("graph 'g' is called outside of a @job or @graph"):
        g()


def test_an_alias_is_called_in_a_body_only():
    with refused("op 'number' is called outside of a @job or @graph function"):
        number.alias("n")()


def test_a_job_is_not_called():
    @job
    def j(): ...

    with refused(r"job 'j' cannot be called; to run it here use \.execute_in_process\(\)"):
        j()


# --- jobs


def test_an_input_that_nobody_gives_is_refused():
    class Frame: ...

    @op
    def show(frame: Frame): ...

    with refused("job 'j', op 'show', input 'frame' is not connected, has no default, and a Frame cannot be given"):

        @job
        def j():
            show()


def test_a_missing_resource_names_who_needs_it():
    @job(resource_defs={"cache": ResourceDefinition.hardcoded_resource(1)})
    def j():
        query()

    with refused(r"job 'j': op 'query' needs the resource 'db', which is not given \(given: cache\)"):
        j.execute_in_process()
    with refused("job 'j': op 'query' needs the resource 'db'"):

        @repository
        def r():
            return [j]


def test_a_missing_io_manager_names_the_output():
    @op(out=Out(io_manager_key="lake"))
    def write():
        return 1

    @job
    def j():
        write()

    with refused("job 'j': output 'result' of op 'write' needs the resource 'lake'"):
        j.check_resources()


def test_a_resource_that_a_resource_needs_must_be_there():
    @resource(required_resource_keys={"secrets"})
    def db(context): ...

    @job(resource_defs={"db": db})
    def j():
        query()

    with refused("job 'j': resource 'db' needs the resource 'secrets'"):
        j.check_resources()


def test_resources_that_need_each_other_are_refused():
    @resource(required_resource_keys={"b"})
    def a(context): ...

    @resource(required_resource_keys={"a"})
    def b(context): ...

    with refused("job 'j': its resources need each other in a circle: a → b → a"):

        @job(resource_defs={"a": a, "b": b})
        def j(): ...


def test_a_resource_class_is_no_resource():
    class Database(ConfigurableResource):
        url: str

    with refused("job 'j': resource 'db' is the class Database; pass an instance of it"):

        @job(resource_defs={"db": Database})
        def j(): ...


def test_a_resource_function_takes_one_parameter():
    with refused("resource 'f': its function takes one parameter, the InitResourceContext, or none"):

        @resource
        def f(context, more): ...


def test_a_resources_config_needs_a_schema():
    class Opaque: ...

    @resource(config_schema={"thing": Opaque})
    def db(context): ...

    with refused("resource 'db': its config type .*Opaque.* has no schema"):

        @job(resource_defs={"db": db})
        def j(): ...


def test_memory_cannot_be_shared_between_processes():
    with refused("job 'j': resource 'io_manager' is mem_io_manager, but its executor runs each step in a process"):

        @job(resource_defs={"io_manager": mem_io_manager}, executor_def=multiprocess_executor)
        def j():
            take(number())


def test_two_presets_cannot_have_the_same_name():
    with refused("job 'j': there are two presets named 'p'"):

        @job(presets=[Preset("p"), Preset("p")])
        def j(): ...


def test_a_presets_name_is_checked():
    with refused("preset: 'not a name' is not a valid name"):
        Preset("not a name")


# --- schedules and repositories


@job(presets=[Preset("small")])
def report():
    number()


def test_a_bad_cron_expression_names_the_schedule():
    with refused("schedule 'nightly': .*minute"):

        @schedule("99 * * * *", job=report)
        def nightly(): ...


def test_an_unknown_time_zone_names_the_schedule():
    with refused("schedule 'nightly': .*Europe/Atlantis"):

        @schedule("0 6 * * *", job=report, execution_timezone="Europe/Atlantis")
        def nightly(): ...


def test_a_schedule_needs_a_cron_expression():
    with refused("schedule 'nightly': give at least one cron expression"):
        ScheduleDefinition("nightly", cron_schedule=[], job=report)


def test_a_schedule_needs_a_job():
    with refused("schedule 'nightly': say which job it runs"):
        ScheduleDefinition("nightly", cron_schedule="@daily")


def test_a_schedules_preset_is_one_of_its_job():
    with refused("schedule 'nightly': job 'report' has no preset 'large'; its presets are: small"):
        ScheduleDefinition("nightly", cron_schedule="@daily", job=report, preset="large")


def test_a_catch_up_policy_is_one_of_three():
    with refused("schedule 'nightly': catch_up is one of skip, latest, all"):
        ScheduleDefinition("nightly", cron_schedule="@daily", job=report, catch_up="some")


def test_a_schedules_function_takes_one_parameter():
    with refused("schedule 'nightly': its function takes one parameter"):

        @schedule("@daily", job=report)
        def nightly(context, more): ...


def test_a_schedules_job_is_in_the_repository():
    with refused("repository 'r': schedule 's' runs the job 'other', which is not here; jobs: report"):

        @repository
        def r():
            return [report, ScheduleDefinition("s", cron_schedule="@daily", job_name="other")]


def test_two_jobs_of_a_repository_cannot_have_the_same_name():
    @job(name="report")
    def another(): ...

    with refused("repository 'r': there are two definitions named 'report'"):

        @repository
        def r():
            return [report, another]


def test_a_repository_holds_jobs_graphs_and_schedules():
    with refused("repository 'r': <op number> is no job, graph or schedule"):

        @repository
        def r():
            return [number]

    with refused("repository 'r': its function returns a list of jobs and schedules, not 3"):

        @repository
        def r():
            return 3
