"""Definitions that the code server's tests describe and ask."""

from collections.abc import Mapping
from typing import Any

from dagwire import (
    Config,
    In,
    Nothing,
    Out,
    Output,
    Preset,
    RepositoryDefinition,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    graph,
    job,
    op,
    repository,
    resource,
    schedule,
)
from dagwire.code import Code
from dagwire_shared.records import CodePointer

POINTER = CodePointer(python_file="/code/repo.py", working_directory="/code", executable="/usr/bin/python3")


class LoadConfig(Config):
    """Where from."""

    limit: int = 10
    """How many rows."""
    station: str


@resource(config_schema={"path": str})
def store(context: Any) -> Any:
    """Where tables are."""
    return context.resource_config


@op(required_resource_keys={"store"}, tags={"kind": "io"})
def load(config: LoadConfig) -> list[int]:
    """Load rows."""
    return list(range(config.limit))


@op(out={"few": Out(int, is_required=False, description="When there are few."), "many": Out(int, is_required=False)})
def branch(rows: list[int]):
    yield Output(len(rows), "few")


@op
def clean(rows: list[int]) -> list[int]:
    return rows


@op
def merge(parts: list[int], factor: float = 1.5) -> float:
    return sum(parts) * factor


@op(ins={"after": In(Nothing)})
def tidy() -> None: ...


@graph
def prepared(rows):
    """Clean rows."""
    return clean(rows)


@job(
    resource_defs={"store": store},
    tags={"team": "data"},
    presets=[
        Preset(
            "berlin",
            {
                "ops": {"load": {"config": {"station": "berlin"}}},
                "resources": {"store": {"config": {"path": "/data"}}},
            },
            tags={"city": "berlin"},
            description="The Berlin station",
        )
    ],
)
def weather():
    """Reads the weather."""
    few, many = branch(prepared.alias("ready")(load.tag({"slow": "yes"})()))
    tidy(after=merge([few, many]))


@schedule("0 6 * * *", job=weather, preset="berlin", execution_timezone="Europe/Berlin", catch_up="all")
def daily(context: ScheduleEvaluationContext):
    """Each morning."""
    match context.scheduled_execution_time.day:
        case 1:
            return SkipReason("no paper on the first")
        case 2:
            raise ValueError("nothing on the second")
        case 3:
            return RunRequest(job_name="absent")
        case 4:
            return RunRequest(preset="paris")
        case 5:
            return [RunRequest("a", {"ops": {"load": {"config": {"limit": 1}}}}), RunRequest("b")]
        case 6:
            raise SystemExit(1)
        case _:
            hour = context.scheduled_execution_time.hour
            return RunRequest(tags={"hour": str(hour)})


@repository
def team():
    """What the team runs."""
    return [weather, daily]


def code(*repositories: RepositoryDefinition) -> Code:
    """Return loaded code with these repositories, the sample's if none are given."""
    named: Mapping[str, RepositoryDefinition] = {one.name: one for one in repositories or (team,)}
    return Code(POINTER, named)
