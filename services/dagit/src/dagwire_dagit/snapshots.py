"""What code servers say, in the shapes of the API. Pure; the messages are read, never changed."""

from collections.abc import Iterable, Mapping
from typing import Any

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared import locations
from dagwire_shared.model import Json
from pydantic_core import from_json

from dagwire_dagit.models import (
    ErrorDetail,
    Job,
    JobSummary,
    Location,
    LocationRepository,
    LocationStatus,
    Node,
    NodeInput,
    NodeOutput,
    OutputRef,
    Plan,
    PlanStep,
    Preset,
    RepositoryInfo,
    Resource,
    Validation,
)


def location(state: locations.Location) -> Location:
    """Return a code location as the API shows it."""
    return Location(
        name=state.name,
        status=LocationStatus(state.status.value),
        host=state.host,
        port=state.port,
        image=(state.server.image or None) if state.server is not None else None,
        definitions_hash=state.definitions_hash,
        loaded_at=state.loaded_at,
        stale=state.stale,
        error=state.error,
        container_context=_json(state.server.container_context_json) if state.server is not None else None,
        repositories=[
            LocationRepository(name=found.name, description=found.description, **_names(found))
            for found in state.repositories.values()
        ],
    )


def repository(state: locations.Location, found: pb.Repository) -> RepositoryInfo:
    """Return a repository as the API shows it."""
    return RepositoryInfo(location=state.name, name=found.name, description=found.description, **_names(found))


def job_summary(state: locations.Location, found: pb.Repository, job: pb.Job) -> JobSummary:
    """Return a job as a list shows it."""
    return JobSummary(**_job(state, found, job), presets=[preset.name for preset in job.presets])


def job(state: locations.Location, found: pb.Repository, wanted: pb.Job) -> Job:
    """Return a job with its graph."""
    return Job(
        **_job(state, found, wanted),
        executor=wanted.executor,
        container_config=_json(wanted.container_config_json),
        nodes=_nodes(wanted.nodes),
        presets=[_preset(preset) for preset in wanted.presets],
        resources=[
            Resource(
                name=resource.name,
                description=resource.description,
                config_schema=_json(resource.config_schema_json),
            )
            for resource in wanted.resources
        ],
        config_schema=_json(wanted.config_schema_json) or {},
        default_run_config=_json(wanted.default_run_config_json) or {},
    )


def validation(answer: pb.ValidateRunConfigResponse) -> Validation:
    """Return what a code server says about a run config."""
    return Validation(
        errors=[ErrorDetail(path=list(error.path), message=error.message) for error in answer.errors],
        run_config=_json(answer.run_config_json) or {},
    )


def plan(answer: pb.ExecutionPlan) -> Plan:
    """Return the steps that a run would execute."""
    return Plan(steps=[PlanStep(key=step.key, depends_on=list(step.depends_on)) for step in answer.steps])


def _names(found: pb.Repository) -> Mapping[str, list[str]]:
    return {
        "jobs": [job.name for job in found.jobs],
        "schedules": [schedule.name for schedule in found.schedules],
    }


def _job(state: locations.Location, found: pb.Repository, job: pb.Job) -> Mapping[str, Any]:
    return {
        "location": state.name,
        "repository": found.name,
        "name": job.name,
        "description": job.description,
        "tags": dict(job.tags),
        "schedules": [schedule.name for schedule in found.schedules if schedule.job == job.name],
    }


def _nodes(nodes: Iterable[pb.Node]) -> list[Node]:
    return [
        Node(
            name=node.name,
            definition=node.definition,
            description=node.description,
            tags=dict(node.tags),
            inputs=[_input(found) for found in node.inputs],
            outputs=[_output(found) for found in node.outputs],
            required_resources=list(node.required_resources),
            config_schema=_json(node.config_schema_json),
            container_config=_json(node.container_config_json),
            nodes=_nodes(node.nodes),
        )
        for node in nodes
    ]


def _input(found: pb.Input) -> NodeInput:
    return NodeInput(
        name=found.name,
        type=found.type,
        description=found.description,
        upstream=[OutputRef(node=source.node, output=source.output) for source in found.upstream],
        has_default=found.has_default,
    )


def _output(found: pb.Output) -> NodeOutput:
    return NodeOutput(name=found.name, type=found.type, description=found.description, required=found.required)


def _preset(found: pb.Preset) -> Preset:
    return Preset(
        name=found.name,
        description=found.description,
        run_config=_json(found.run_config_json) or {},
        tags=dict(found.tags),
    )


def _json(text: str) -> Json | None:
    return from_json(text) if text else None
