"""The shapes of Dagit's HTTP API: what it answers and what it is asked. No I/O, no decisions.

The TypeScript types of the web page are generated from these classes by way of ``openapi.json``.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from dagwire_shared.envelope import Envelope
from dagwire_shared.events import ErrorInfo, FailureCause, Metadata, Origin, RequestedBy
from dagwire_shared.ids import LocationName, Name, RunId, ScheduleId, Tags
from dagwire_shared.model import Json
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_DEEPEST: Final = 64


def _check_depth(value: Json) -> Json:
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [item for part in level for item in (part.values() if isinstance(part, dict) else part)]
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return value
    raise ValueError(f"it is nested more than {_DEEPEST} levels deep")


RunConfig = Annotated[Json, AfterValidator(_check_depth)]
"""A run config as a client sends it."""


class Answer(BaseModel):
    """The base of what Dagit answers: every field is always there."""

    model_config = ConfigDict(
        frozen=True, use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )


class Question(BaseModel):
    """The base of what Dagit is asked: a field that it does not know is an error, not a typing mistake unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ErrorDetail(Answer):
    """One fault and its place."""

    path: list[str]
    """Where: ``["body", "job"]``, ``["ops", "load", "config", "limit"]``."""
    message: str


class Problem(Answer):
    """Every answer that is not a success."""

    code: str
    """A stable word for programs: ``run_unknown``, ``config_invalid``, ``bus_unavailable`` …"""
    message: str
    """What happened and what to do, for people."""
    details: list[ErrorDetail] = []


class Info(Answer):
    """What this Dagit is."""

    version: str
    epoch: int | None
    """The epoch of the events stream; null while the bus has not been reached yet."""


class Health(Answer):
    """Whether the process lives, or is ready."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = {}
    """Each thing that Dagit uses: ``ok``, or what is wrong with it."""


class LocationStatus(StrEnum):
    """How a code location is."""

    LOADED = "LOADED"
    FAILED = "FAILED"
    """Its server answers, and its code did not load: see ``error``."""
    UNREACHABLE = "UNREACHABLE"
    """Its server does not answer; definitions, if any, are the last good ones."""
    LOADING = "LOADING"


class LocationRepository(Answer):
    """A repository of a code location, by the names it holds."""

    name: str
    description: str
    jobs: list[str]
    schedules: list[str]


class Location(Answer):
    """A code location: a code server and what it serves."""

    name: str
    status: LocationStatus
    host: str
    port: int
    image: str | None
    definitions_hash: str | None
    loaded_at: datetime | None
    stale: bool
    """True: the definitions shown are the last good ones, not what the server has now."""
    error: ErrorInfo | None
    container_context: Json | None
    """What it says the pods of its runs shall be like."""
    repositories: list[LocationRepository]


class RepositoryInfo(Answer):
    """A repository."""

    location: str
    name: str
    description: str
    jobs: list[str]
    schedules: list[str]


class JobSummary(Answer):
    """A job in a list."""

    location: str
    repository: str
    name: str
    description: str
    tags: dict[str, str]
    presets: list[str]
    schedules: list[str]


class OutputRef(Answer):
    """An output of a node beside this one."""

    node: str
    output: str


class NodeInput(Answer):
    """An input of a node."""

    name: str
    type: str
    description: str
    upstream: list[OutputRef]
    """Empty: from config or a default; several: fan-in."""
    has_default: bool


class NodeOutput(Answer):
    """An output of a node."""

    name: str
    type: str
    description: str
    required: bool


class Node(Answer):
    """An op or a graph, placed in a job or in a graph."""

    name: str
    definition: str
    description: str
    tags: dict[str, str]
    inputs: list[NodeInput]
    outputs: list[NodeOutput]
    required_resources: list[str]
    config_schema: Json | None
    container_config: Json | None
    """What the pods of its steps shall be like; null: nothing is said."""
    nodes: list["Node"]
    """Of a graph; empty for an op."""


class Preset(Answer):
    """A named run config of a job."""

    name: str
    description: str
    run_config: Json
    tags: dict[str, str]


class Resource(Answer):
    """A resource that a job uses."""

    name: str
    description: str
    config_schema: Json | None


class Job(Answer):
    """A job with its graph."""

    location: str
    repository: str
    name: str
    description: str
    tags: dict[str, str]
    schedules: list[str]
    executor: str
    container_config: Json | None
    """What the pods of its runs shall be like; null: nothing is said."""
    nodes: list[Node]
    """In topological order."""
    presets: list[Preset]
    resources: list[Resource]
    config_schema: Json
    default_run_config: Json


class ConfigRequest(Question):
    """A run config to be checked or planned."""

    preset: Name | None = None
    run_config: RunConfig = Field(default_factory=dict)
    """Laid over the preset's."""


class Validation(Answer):
    """What the code server says about a run config."""

    errors: list[ErrorDetail]
    """Empty: the config fits."""
    run_config: Json
    """As the run would get it: preset, overrides and defaults."""


class PlanStep(Answer):
    """A step that a run would execute."""

    key: str
    depends_on: list[str]


class Plan(Answer):
    """The steps of a run, in topological order."""

    steps: list[PlanStep]


class LaunchRequest(Question):
    """Ask for a run. With the header ``Idempotency-Key`` the same key gives the same run, for ever."""

    location: LocationName
    repository: Name | None = None
    """May be left out when the location has one repository, or one with this job."""
    job: Name
    preset: Name | None = None
    run_config: RunConfig = Field(default_factory=dict)
    tags: Tags = Field(default_factory=dict, max_length=64)


class Launched(Answer):
    """The stream holds the request: the run will exist."""

    run_id: RunId
    key: str
    """The idempotency key; one was made if none was sent."""
    duplicate: bool
    """True: this key was used before, and its run is the answer."""


class CancelAccepted(Answer):
    """The order is on its way."""

    run_id: RunId


class RunStatus(StrEnum):
    """Where a run is in its life."""

    QUEUED = "QUEUED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    CANCELING = "CANCELING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELED = "CANCELED"


class Run(Answer):
    """A run in a list."""

    run_id: RunId
    location: str
    repository: str
    job: str
    status: RunStatus
    preset: str | None
    tags: dict[str, str]
    requested_by: RequestedBy
    key: str
    requested_at: datetime
    queued_at: datetime | None
    launched_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    cause: FailureCause | str | None
    """Why it failed; one class per run."""
    message: str | None
    cursor: str
    """Its place among all runs, newest first: what ``before`` takes."""


class StepStatus(StrEnum):
    """Where a step is in its life."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    SKIPPED = "SKIPPED"


class Step(Answer):
    """A step of a run."""

    key: str
    depends_on: list[str]
    status: StepStatus
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    reason: str | None
    """Why it was skipped."""
    error: ErrorInfo | None


class RunDetail(Run):
    """A run with its steps."""

    run_config: Json
    """As requested."""
    resolved_config: Json | None
    """With preset and defaults filled in; known once the run is planned."""
    origin: Origin
    executor: str | None
    error: ErrorInfo | None
    steps: list[Step]
    """In topological order; empty until the run is planned."""


class Runs(Answer):
    """A page of runs, newest first."""

    runs: list[Run]
    next: str | None
    """Pass it as ``before`` for the next page; null: this was the last."""


class FeedEvent(Answer):
    """An event and its place in the stream."""

    cursor: str
    event: Envelope


class Events(Answer):
    """A page of a run's events, oldest first."""

    events: list[FeedEvent]
    next: str | None
    """Pass it as ``after`` for the next page; null: there is no more yet."""


class CaughtUp(Answer):
    """Said once on a feed: everything that had happened by now was delivered."""

    cursor: str


class TickStatus(StrEnum):
    """What became of a schedule's tick."""

    REQUESTED = "REQUESTED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class Tick(Answer):
    """A tick of a schedule."""

    nominal_time: datetime
    status: TickStatus
    run_ids: list[RunId]
    reason: str | None
    missed: bool
    """True: no scheduler ran at its time, and the catch-up policy dropped it."""
    error: ErrorInfo | None


class Ticks(Answer):
    """A page of ticks, newest first."""

    ticks: list[Tick]
    next: str | None
    """Pass it as ``before`` for the next page; null: this was the last."""


class ScheduleStatus(StrEnum):
    """Whether a schedule makes ticks."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class Schedule(Answer):
    """A schedule as its code and its switch say."""

    location: str
    repository: str
    name: str
    schedule_id: ScheduleId
    job: str
    preset: str | None
    description: str
    cron_schedules: list[str]
    execution_timezone: str
    status: ScheduleStatus
    default_status: ScheduleStatus
    """What the code says; counts until somebody switches."""
    next_tick: datetime | None
    """Null while it is stopped."""
    last_tick: Tick | None


class Preview(Answer):
    """The next ticks of a schedule by its cron rule, whether or not it is running."""

    ticks: list[datetime]


class Asset(Answer):
    """The newest materialization of an asset."""

    asset_key: list[str]
    description: str
    metadata: dict[str, Metadata]
    run_id: RunId
    step_key: str
    materialized_at: datetime
