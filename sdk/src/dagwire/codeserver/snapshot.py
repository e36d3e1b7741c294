"""Definitions as messages: pure functions from what users wrote to what clients are told, and its hash."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.envelope import compact
from google.protobuf.json_format import MessageToDict
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from dagwire.composition import InputSource, Node, OutputSource
from dagwire.job import JobDefinition
from dagwire.op import OpDefinition
from dagwire.ports import In, Out
from dagwire.preset import Preset
from dagwire.repository import RepositoryDefinition
from dagwire.resource import ResourceDefinition
from dagwire.schedule import ScheduleDefinition
from dagwire.wiring import NodeGraph, sources_of

_CATCH_UP: Final = {"skip": pb.CATCH_UP_SKIP, "latest": pb.CATCH_UP_LATEST, "all": pb.CATCH_UP_ALL}


def describe(repositories: Iterable[RepositoryDefinition]) -> tuple[Mapping[str, pb.Repository], str]:
    """Return every repository as a message, by name, and the hash of them all, which each of them carries."""
    described = {one.name: repository(one) for one in sorted(repositories, key=lambda one: one.name)}
    digest = definitions_hash(described.values())
    for message in described.values():
        message.definitions_hash = digest
    return described, digest


def definitions_hash(repositories: Iterable[pb.Repository]) -> str:
    """Return the SHA-256 over the canonical snapshot: the same definitions give the same hash in every process."""
    digest = hashlib.sha256()
    for message in sorted(repositories, key=lambda one: one.name):
        digest.update(compact(MessageToDict(message, preserving_proto_field_name=True)).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def repository(definition: RepositoryDefinition) -> pb.Repository:
    """Return a repository with all that it holds; ``definitions_hash`` is left empty."""
    jobs = [job(one) for _, one in sorted(definition.jobs.items())]
    resources = {one.name: one for message in jobs for one in message.resources}
    return pb.Repository(
        name=definition.name,
        description=definition.description or "",
        jobs=jobs,
        schedules=[schedule(one) for _, one in sorted(definition.schedules.items())],
        resources=[resources[name] for name in sorted(resources)],
    )


def job(definition: JobDefinition) -> pb.Job:
    """Return a job with its graph, presets, resources and config."""
    return pb.Job(
        name=definition.name,
        description=definition.description or "",
        tags=definition.tags,
        nodes=_nodes(definition.graph, outermost=True),
        presets=[_preset(one) for one in definition.presets.values()],
        resources=[_resource(name, one) for name, one in sorted(definition.resource_defs.items())],
        executor=definition.executor_def.name,
        config_schema_json=to_json(definition.config_schema()),
        default_run_config_json=to_json(definition.default_run_config()),
        container_config_json=_config(definition.container_config),
    )


def schedule(definition: ScheduleDefinition) -> pb.Schedule:
    """Return a schedule."""
    return pb.Schedule(
        name=definition.name,
        description=definition.description or "",
        job=definition.job_name,
        cron_schedules=definition.cron_schedules,
        execution_timezone=definition.execution_timezone,
        default_running=definition.default_running,
        preset=definition.preset,
        tags=definition.tags,
        catch_up=_CATCH_UP[definition.catch_up],
    )


def _nodes(graph: NodeGraph, *, outermost: bool = False) -> list[pb.Node]:
    return [_node(one, outermost=outermost) for one in graph.nodes.values()]


def _node(placed: Node, *, outermost: bool) -> pb.Node:
    definition = placed.definition
    message = pb.Node(
        name=placed.name,
        definition=definition.name,
        description=definition.description or "",
        tags={**definition.tags, **placed.tags},
        inputs=[
            _input(name, one, placed.inputs.get(name), outermost=outermost) for name, one in definition.ins.items()
        ],
        outputs=[_output(name, one) for name, one in definition.outs.items()],
        container_config_json=_config(placed.container_config),
    )
    if isinstance(definition, NodeGraph):
        message.nodes.extend(_nodes(definition))
    elif isinstance(definition, OpDefinition):
        message.required_resources.extend(sorted(definition.required_resource_keys))
        message.config_schema_json = _schema(definition.config_adapter)
    return message


def _input(name: str, definition: In, source: InputSource | None, *, outermost: bool) -> pb.Input:
    upstream = () if source is None else _upstream(source, outermost=outermost)
    return pb.Input(
        name=name,
        type=definition.type_name,
        description=definition.description or "",
        upstream=upstream,
        has_default=definition.has_default,
    )


def _upstream(source: InputSource, *, outermost: bool) -> Iterator[pb.OutputRef]:
    for one in sources_of(source):
        if isinstance(one, OutputSource):
            yield pb.OutputRef(node=one.node, output=one.output)
        elif not outermost:  # a job's own inputs come from its config
            yield pb.OutputRef(output=one.name)


def _output(name: str, definition: Out) -> pb.Output:
    return pb.Output(
        name=name,
        type=definition.type_name,
        description=definition.description or "",
        required=definition.is_required,
    )


def _preset(definition: Preset) -> pb.Preset:
    return pb.Preset(
        name=definition.name,
        description=definition.description or "",
        run_config_json=to_json(definition.run_config),
        tags=definition.tags,
    )


def _resource(name: str, definition: ResourceDefinition) -> pb.Resource:
    return pb.Resource(
        name=name, description=definition.description or "", config_schema_json=_schema(definition.config_adapter)
    )


def _schema(adapter: TypeAdapter[Any] | None) -> str:
    return "" if adapter is None else to_json(adapter.json_schema())


def _config(value: Mapping[str, Any] | None) -> str:
    return to_json(value) if value else ""


def to_json(value: Mapping[str, Any]) -> str:
    """Return canonical JSON; what JSON cannot express is shown as text."""
    return compact(to_jsonable_python(value, fallback=str))
