"""Repositories and Definitions: what a module serves."""

from dagwire import (
    Definitions,
    RepositoryDefinition,
    ScheduleDefinition,
    graph,
    job,
    multiprocess_executor,
    op,
    repository,
)


@op(required_resource_keys={"db"})
def query(context):
    return context.resources.db


@job
def report():
    query()


@job(resource_defs={"db": "own"})
def complete():
    query()


@graph
def shape():
    query()


def test_a_repository_holds_what_its_function_returns():
    daily = ScheduleDefinition("daily", cron_schedule="@daily", job=complete)

    @repository
    def everything():
        """All there is."""
        return [complete, daily]

    assert isinstance(everything, RepositoryDefinition)
    assert (everything.name, everything.description) == ("everything", "All there is.")
    assert dict(everything.jobs) == {"complete": complete}
    assert dict(everything.schedules) == {"daily": daily}


def test_a_repository_may_have_another_name():
    @repository(name="other", description="Given.")
    def function():
        return []

    assert (function.name, function.description) == ("other", "Given.")


def test_a_mapping_of_kinds_is_a_repository_too():
    @repository
    def r():
        return {"jobs": {"complete": complete}, "schedules": {}}

    assert list(r.jobs) == ["complete"]


def test_a_schedules_job_is_in_the_repository_without_being_listed():
    @repository
    def r():
        return [ScheduleDefinition("daily", cron_schedule="@daily", job=complete)]

    assert r.get_job("complete") is complete


def test_definitions_give_resources_and_an_executor_to_jobs_that_have_none():
    definitions = Definitions(
        jobs=[report, complete, shape], resources={"db": "shared"}, executor=multiprocess_executor
    )
    assert definitions.get_repository_def().name == "__repository__"
    outputs = {
        name: definitions.get_job_def(name).execute_in_process().output_for_node("query")
        for name in ("report", "complete", "shape")
    }
    assert outputs == {"report": "shared", "complete": "own", "shape": "shared"}
    assert definitions.get_job_def("report").executor_def is multiprocess_executor


def test_a_schedules_job_gets_the_resources_too():
    definitions = Definitions(
        jobs=[report],
        schedules=[ScheduleDefinition("daily", cron_schedule="@daily", job=report)],
        resources={"db": "shared"},
    )
    assert definitions.get_job_def("report").execute_in_process().output_for_node("query") == "shared"
