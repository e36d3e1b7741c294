"""What type checkers say about the public API. Checked by mypy (``make types``), never executed."""

from collections.abc import Mapping
from typing import Any, assert_type

from dagwire import (
    AssetKey,
    AssetMaterialization,
    Config,
    ConfigurableResource,
    Definitions,
    ExecuteInProcessResult,
    GraphDefinition,
    InitResourceContext,
    InputContext,
    IOManager,
    JobDefinition,
    MetadataValue,
    OpDefinition,
    OpExecutionContext,
    Out,
    Output,
    OutputContext,
    Preset,
    RepositoryDefinition,
    ResourceDefinition,
    ResourceParam,
    RunConfig,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    build_op_context,
    build_schedule_context,
    graph,
    in_process_executor,
    io_manager,
    job,
    multiprocess_executor,
    op,
    repository,
    resource,
    schedule,
)


class Limit(Config):
    limit: int = 10


class Database(ConfigurableResource):
    url: str

    def rows(self) -> list[int]:
        return []


@op
def bare(context: OpExecutionContext, config: Limit, db: Database, extra: ResourceParam[str]) -> int:
    assert_type(config.limit, int)
    assert_type(db.rows(), list[int])
    assert_type(extra, str)
    assert_type(context.run_id, str)
    assert_type(context.run_tags, Mapping[str, str])
    assert_type(context.get_tag("a"), str | None)
    context.log.info("rows", extra={"n": 1})
    context.log_event(AssetMaterialization("table", metadata={"rows": MetadataValue.int(3)}))
    return config.limit


@op(out={"a": Out(int), "b": Out(str, is_required=False)}, tags={"kind": "io"})
def several() -> tuple[int, str]:
    return 1, ""


@graph
def inner(x: int) -> Any:
    return bare.alias("again")(x)


@graph(name="other")
def outer() -> None:
    inner(bare())


@resource
def plain() -> int:
    return 1


@resource(config_schema={"url": str}, required_resource_keys={"plain"})
def configured(context: InitResourceContext) -> Any:
    return context.resource_config["url"]


class Shelf(IOManager):
    def handle_output(self, context: OutputContext, obj: Any) -> None:
        assert_type(context.step_key, str)

    def load_input(self, context: InputContext) -> Any:
        assert_type(context.upstream_output, OutputContext)


@io_manager
def shelf() -> IOManager:
    return Shelf()


@job
def small() -> None:
    bare()


@job(
    resource_defs={"db": Database(url="u"), "extra": "x", "io_manager": shelf},
    presets=[Preset("p", run_config=RunConfig(ops={"bare": Limit(limit=1)}))],
    executor_def=multiprocess_executor,
    config={"ops": {}},
    tags={"cores": 2},
)
def large() -> None:
    bare()


@schedule("@daily", job=small)
def daily(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
    assert_type(context.scheduled_execution_time.year, int)
    return SkipReason("no")


@repository
def listed() -> list[JobDefinition | ScheduleDefinition]:
    return [small, daily]


@repository(name="named")
def mapped() -> dict[str, dict[str, JobDefinition]]:
    return {"jobs": {"small": small}}


assert_type(bare, OpDefinition)
assert_type(several, OpDefinition)
assert_type(inner, GraphDefinition)
assert_type(outer, GraphDefinition)
assert_type(plain, ResourceDefinition)
assert_type(configured, ResourceDefinition)
assert_type(shelf, ResourceDefinition)
assert_type(small, JobDefinition)
assert_type(large, JobDefinition)
assert_type(inner.to_job(executor_def=in_process_executor), JobDefinition)
assert_type(daily, ScheduleDefinition)
assert_type(listed, RepositoryDefinition)
assert_type(mapped, RepositoryDefinition)
assert_type(Definitions(jobs=[small, inner], schedules=[daily]).get_job_def("small"), JobDefinition)
assert_type(small.execute_in_process(), ExecuteInProcessResult)
assert_type(small.execute_in_process().success, bool)
assert_type(small.plan(small.resolve_config()).steps[0].depends_on, tuple[str, ...])
assert_type(daily.evaluate(build_schedule_context()), list[RunRequest] | SkipReason)
assert_type(Output(3).value, int)
assert_type(Output("a", "name", metadata={"n": 1}), Output[str])
assert_type(AssetKey(["a", "b"]).path, tuple[str, ...])
assert_type(build_op_context(resources={"db": 1}), OpExecutionContext)

# What does not fit is refused: an ignore that nothing needs is an error of its own.
op(name=3)  # type: ignore[call-overload]
job(presets=[{"name": "p"}])  # type: ignore[list-item]
schedule("@daily", job=small, catch_up="some")  # type: ignore[arg-type]
Definitions(jobs=[bare])  # type: ignore[list-item]
Preset()  # type: ignore[call-arg]
