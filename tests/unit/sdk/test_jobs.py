"""Jobs: what they are made of, and running one in this process with other parts."""

import pytest
from dagwire import (
    Config,
    ExecutionError,
    InitResourceContext,
    InvalidConfigError,
    IOManager,
    JobDefinition,
    Out,
    Preset,
    ResourceDefinition,
    io_manager,
    job,
    mem_io_manager,
    multiprocess_executor,
    op,
    resource,
)
from dagwire_shared.events import RunFailed


class Limit(Config):
    limit: int = 10


@op(required_resource_keys={"db"})
def query(context, config: Limit) -> str:
    return f"{context.resources.db} {config.limit}"


@resource(config_schema={"url": str})
def db(context):
    return context.resource_config["url"]


@job(
    resource_defs={"db": db},
    presets=[
        Preset(
            "p", run_config={"ops": {"query": {"config": {"limit": 3}}}, "resources": {"db": {"config": {"url": "u"}}}}
        )
    ],
    tags={"team": "a"},
    description="Queries.",
)
def ask():
    query()


def test_a_job_has_what_it_was_given():
    assert isinstance(ask, JobDefinition)
    assert (ask.name, ask.description, dict(ask.tags)) == ("ask", "Queries.", {"team": "a"})
    assert ask.executor_def.name == "in_process"
    assert list(ask.presets) == ["p"]
    assert list(ask.resource_defs) == ["db"]


def test_the_docstring_describes_a_job():
    @job
    def j():
        """Does it."""

    assert j.description == "Does it."


def test_a_preset_is_chosen_by_name():
    assert ask.execute_in_process(preset="p").output_for_node("query") == "u 3"


def test_resources_are_replaced_for_a_test_and_their_config_is_no_longer_needed():
    assert ask.execute_in_process(resources={"db": "fake"}).output_for_node("query") == "fake 10"
    assert ask.execute_in_process(preset="p", resources={"db": "fake"}).output_for_node("query") == "fake 3"


def test_a_wrong_config_is_raised_or_becomes_the_runs_end():
    with pytest.raises(InvalidConfigError, match=r"resources\.db\.config"):
        ask.execute_in_process()
    result = ask.execute_in_process(raise_on_error=False)
    assert [type(event) for event in result.events] == [RunFailed]
    assert result.failure is not None
    assert result.failure.cause == "run_error"
    assert "resources.db.config: a value is required here" in result.failure.message


def test_a_job_for_processes_runs_in_this_one_as_well():
    config = {"execution": {"config": {"max_concurrent": 2}}}

    @job(executor_def=multiprocess_executor, presets=[Preset("p", run_config=config)])
    def j():
        query.alias("q")()

    assert j.with_resources({"db": "x"}).execute_in_process(preset="p").output_for_node("q") == "x 10"


def test_resources_and_an_executor_may_be_added_later_and_the_jobs_own_stay():
    @job(resource_defs={"cache": 1})
    def j():
        query()

    complete = j.with_resources({"db": "later", "cache": 2}).with_executor(multiprocess_executor)
    assert complete.execute_in_process().output_for_node("query") == "later 10"
    with complete.resource_defs["cache"].open(InitResourceContext()) as cache:
        assert cache == 1
    assert complete.executor_def.name == "multiprocess"
    assert complete.with_executor(multiprocess_executor) is complete


def test_an_output_is_kept_by_the_io_manager_that_it_names():
    kept = {}

    class Shelf(IOManager):
        def handle_output(self, context, obj):
            kept[context.step_key, context.name, context.metadata["folder"]] = obj

        def load_input(self, context):
            source = context.upstream_output
            return f"{kept[source.step_key, source.name, source.metadata['folder']]} from the shelf"

    @io_manager
    def shelf():
        return Shelf()

    @op(out=Out(io_manager_key="shelf", metadata={"folder": "f"}))
    def make():
        return "value"

    @op
    def use(x: str) -> str:
        return x

    @job(resource_defs={"shelf": shelf, "io_manager": mem_io_manager})
    def j():
        use(make())

    assert j.execute_in_process().output_for_node("use") == "value from the shelf"
    assert kept == {("make", "result", "f"): "value"}


def test_what_keeps_outputs_must_be_an_io_manager():
    @op
    def make() -> int:
        return 1

    @job(resource_defs={"io_manager": ResourceDefinition.hardcoded_resource(3)})
    def j():
        make()

    with pytest.raises(ExecutionError, match="resource 'io_manager' keeps outputs, but it is a int, no IOManager"):
        j.execute_in_process()
