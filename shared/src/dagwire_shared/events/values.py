"""Values that several events carry."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from dagwire_shared.ids import StepKey
from dagwire_shared.model import Json, Model


class ErrorInfo(Model):
    """An exception with its chain of causes, as text."""

    type: str
    """The exception's class name, with its module unless it is a builtin."""
    message: str
    stack: list[str] = Field(default_factory=list)
    """Frames, outermost first."""
    cause: "ErrorInfo | None" = None


MetadataKind = Literal["text", "url", "path", "md", "json", "int", "float", "bool", "table", "timestamp", "null"]


class Metadata(Model):
    """One entry of user metadata: what it is, so that it can be shown, and its value as JSON."""

    kind: MetadataKind
    value: Any


class RequestedBy(Model):
    """Who asked for a run."""

    kind: Literal["api", "cli", "ui", "schedule", "bus"]
    name: str | None = Field(default=None, max_length=256)
    """The schedule's name, or what the client calls itself."""


class PlannedStep(Model):
    """A step of a run's plan."""

    key: StepKey
    depends_on: list[StepKey] = Field(default_factory=list)


class LogLevel(StrEnum):
    """The level of a log line."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class FailureCause(StrEnum):
    """Why a run failed: one class per run, whatever killed it."""

    STEP_FAILED = "step_failed"
    """User code raised in at least one op."""
    RUN_ERROR = "run_error"
    """The run worker could not set the run up: definitions, config or a resource failed."""
    CODE_LOCATION_UNKNOWN = "code_location_unknown"
    """The request names a code location that nobody serves."""
    LAUNCH_REFUSED = "launch_refused"
    """The backend refused to start a worker."""
    START_TIMEOUT = "start_timeout"
    """A worker was created and did not start in time."""
    WORKER_LOST = "worker_lost"
    """The worker ended without a word, and nothing more is known: its process was killed, or left with a code."""
    OUT_OF_MEMORY = "out_of_memory"
    """The worker used more memory than its limit, and the kernel ended it."""
    EVICTED = "evicted"
    """The machine ran short of memory, disk or process ids, or was drained, and sent the worker away."""
    PREEMPTED = "preempted"
    """The worker had to make room for something of a higher priority."""
    NODE_LOST = "node_lost"
    """The worker's machine went away with it."""
    IMAGE_UNAVAILABLE = "image_unavailable"
    """The worker's image could not be pulled."""
    CONTAINER_CONFIG = "container_config"
    """The worker's container could not be made as its config says: a secret is missing, a command is not there."""
    UNSCHEDULABLE = "unschedulable"
    """No machine has what the worker asks for."""
    QUOTA_EXCEEDED = "quota_exceeded"
    """A quota of the namespace leaves no room for the worker."""
    WORKER_DELETED = "worker_deleted"
    """Somebody deleted the worker."""
    DEADLINE_EXCEEDED = "deadline_exceeded"
    """The worker ran for longer than its deadline allows."""


class Origin(Model):
    """Which code a run was requested against, as its code server reported it then."""

    image: str | None = None
    definitions_hash: str | None = None


__all__ = [
    "ErrorInfo",
    "FailureCause",
    "Json",
    "LogLevel",
    "Metadata",
    "MetadataKind",
    "Origin",
    "PlannedStep",
    "RequestedBy",
]
