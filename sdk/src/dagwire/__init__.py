"""The Dagwire SDK: write ops, graphs, jobs, resources and schedules; run them in order, anywhere.

This module is the public API; everything below ``dagwire.`` that is not named here may change.

A name is imported when it is first used: a run worker takes its run before it needs any of them.
"""

# ruff: noqa: TC004 -- the imports below are for type checkers; at run time ``_PublicModule`` finds the names

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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
    from dagwire.executor import (
        ExecutorDefinition,
        in_process_executor,
        k8s_job_executor,
        kubernetes_executor,
        multiprocess_executor,
    )
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
    "k8s_job_executor",
    "kubernetes_executor",
    "mem_io_manager",
    "multiprocess_executor",
    "op",
    "repository",
    "resource",
    "schedule",
]

_HOMES: Final = {
    "AssetKey": "dagwire.results",
    "AssetMaterialization": "dagwire.results",
    "Config": "dagwire.config.model",
    "ConfigurableResource": "dagwire.configurable",
    "DagwireError": "dagwire_shared.errors",
    "DefaultScheduleStatus": "dagwire.schedule",
    "DefinitionError": "dagwire.errors",
    "Definitions": "dagwire.repository",
    "EnvVar": "dagwire.configurable",
    "ExecuteInProcessResult": "dagwire.execute.result",
    "ExecutionError": "dagwire.errors",
    "ExecutorDefinition": "dagwire.executor",
    "ExpectationResult": "dagwire.results",
    "Failure": "dagwire.results",
    "Field": "dagwire.config.model",
    "GraphDefinition": "dagwire.graph",
    "GraphIn": "dagwire.ports",
    "GraphOut": "dagwire.ports",
    "IOManager": "dagwire.storage",
    "In": "dagwire.ports",
    "InitResourceContext": "dagwire.resource",
    "InputContext": "dagwire.storage",
    "InvalidConfigError": "dagwire.errors",
    "InvocationError": "dagwire.errors",
    "JobDefinition": "dagwire.job",
    "MetadataValue": "dagwire.metadata",
    "Nothing": "dagwire.annotations",
    "OpDefinition": "dagwire.op",
    "OpExecutionContext": "dagwire.context",
    "Out": "dagwire.ports",
    "Output": "dagwire.results",
    "OutputContext": "dagwire.storage",
    "PermissiveConfig": "dagwire.config.model",
    "Preset": "dagwire.preset",
    "RepositoryDefinition": "dagwire.repository",
    "ResourceDefinition": "dagwire.resource",
    "ResourceParam": "dagwire.configurable",
    "RunConfig": "dagwire.config.model",
    "RunRequest": "dagwire.schedule",
    "ScheduleDefinition": "dagwire.schedule",
    "ScheduleEvaluationContext": "dagwire.schedule",
    "SkipReason": "dagwire.schedule",
    "TypeCheckError": "dagwire.errors",
    "build_op_context": "dagwire.context",
    "build_schedule_context": "dagwire.schedule",
    "fs_io_manager": "dagwire.storage",
    "graph": "dagwire.graph",
    "in_process_executor": "dagwire.executor",
    "io_manager": "dagwire.storage",
    "job": "dagwire.job",
    "k8s_job_executor": "dagwire.executor",
    "kubernetes_executor": "dagwire.executor",
    "mem_io_manager": "dagwire.storage",
    "multiprocess_executor": "dagwire.executor",
    "op": "dagwire.op",
    "repository": "dagwire.repository",
    "resource": "dagwire.resource",
    "schedule": "dagwire.schedule",
}
"""The module of each public name."""


class _PublicModule(ModuleType):
    """Imports public names when they are asked for.

    Several are also the name of their module (``op``, ``job`` …). The import system binds a submodule to its
    package when it is loaded; that must not take the place of the function.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOMES})


sys.modules[__name__].__class__ = _PublicModule
