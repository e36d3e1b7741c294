"""The Dagwire SDK: write ops, graphs, jobs, resources and schedules; run them in order, anywhere.

This module is the public API; everything below ``dagwire.`` that is not named here may change.
"""

from dagwire_shared.errors import DagwireError

from dagwire.annotations import Nothing
from dagwire.config.model import Config, Field, PermissiveConfig, RunConfig
from dagwire.configurable import ConfigurableResource, EnvVar, ResourceParam
from dagwire.context import OpExecutionContext, build_op_context
from dagwire.errors import (
    DefinitionError,
    ExecutionError,
    InvalidConfigError,
    InvocationError,
    TypeCheckError,
)
from dagwire.execute.result import ExecuteInProcessResult
from dagwire.executor import ExecutorDefinition, in_process_executor, multiprocess_executor
from dagwire.graph import GraphDefinition, graph
from dagwire.job import JobDefinition, job
from dagwire.metadata import MetadataValue
from dagwire.op import OpDefinition, op
from dagwire.ports import GraphIn, GraphOut, In, Out
from dagwire.preset import Preset
from dagwire.repository import Definitions, RepositoryDefinition, repository
from dagwire.resource import InitResourceContext, ResourceDefinition, resource
from dagwire.results import AssetKey, AssetMaterialization, ExpectationResult, Failure, Output
from dagwire.schedule import (
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    build_schedule_context,
    schedule,
)
from dagwire.storage import InputContext, IOManager, OutputContext, fs_io_manager, io_manager, mem_io_manager

__all__ = [
    "AssetKey",
    "AssetMaterialization",
    "Config",
    "ConfigurableResource",
    "DagwireError",
    "DefaultScheduleStatus",
    "DefinitionError",
    "Definitions",
    "EnvVar",
    "ExecuteInProcessResult",
    "ExecutionError",
    "ExecutorDefinition",
    "ExpectationResult",
    "Failure",
    "Field",
    "GraphDefinition",
    "GraphIn",
    "GraphOut",
    "IOManager",
    "In",
    "InitResourceContext",
    "InputContext",
    "InvalidConfigError",
    "InvocationError",
    "JobDefinition",
    "MetadataValue",
    "Nothing",
    "OpDefinition",
    "OpExecutionContext",
    "Out",
    "Output",
    "OutputContext",
    "PermissiveConfig",
    "Preset",
    "RepositoryDefinition",
    "ResourceDefinition",
    "ResourceParam",
    "RunConfig",
    "RunRequest",
    "ScheduleDefinition",
    "ScheduleEvaluationContext",
    "SkipReason",
    "TypeCheckError",
    "build_op_context",
    "build_schedule_context",
    "fs_io_manager",
    "graph",
    "in_process_executor",
    "io_manager",
    "job",
    "mem_io_manager",
    "multiprocess_executor",
    "op",
    "repository",
    "resource",
    "schedule",
]
