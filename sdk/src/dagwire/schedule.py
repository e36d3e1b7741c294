"""Schedules: when a job runs by itself, and with what. When that is due is the scheduler's business."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from dagwire_shared import cron

from dagwire.composition import valid_name
from dagwire.config.model import AnyRunConfig, RunConfig, as_run_config, merge_config
from dagwire.errors import DefinitionError, InvocationError
from dagwire.job import JobDefinition
from dagwire.tags import valid_tags

CatchUp: TypeAlias = Literal["skip", "latest", "all"]
"""Which ticks fire that were missed while no scheduler ran: none, the newest, or all."""


class DefaultScheduleStatus(StrEnum):
    """Whether a schedule runs before anybody has switched it."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


@dataclass(frozen=True)
class SkipReason:
    """Ask for nothing at this tick, and say why."""

    skip_message: str | None = None


@dataclass(frozen=True)
class RunRequest:
    """Ask for a run. Several at one tick need a ``run_key`` each."""

    run_key: str | None = None
    run_config: Any = field(default_factory=dict)
    """A ``RunConfig``, or the same as a mapping."""
    tags: Mapping[str, str] = field(default_factory=dict)
    job_name: str | None = None
    """The schedule's job if not given."""
    preset: str | None = None
    """The schedule's preset if not given."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "run_config", as_run_config(self.run_config))
        object.__setattr__(self, "tags", valid_tags(self.tags, "a run request"))


@dataclass(frozen=True)
class ScheduleEvaluationContext:
    """What a schedule's function gets."""

    scheduled_execution_time: datetime
    """The tick's time by the cron rule, in the schedule's time zone."""
    schedule_name: str | None = None
    repository_name: str | None = None


def build_schedule_context(
    scheduled_execution_time: datetime | None = None, *, repository_name: str | None = None
) -> ScheduleEvaluationContext:
    """Return a context for calling a schedule in a test; the time is now if not given."""
    moment = scheduled_execution_time or datetime.now(UTC)
    if moment.tzinfo is None:
        raise InvocationError(f"{moment} has no time zone; pass an aware datetime")
    return ScheduleEvaluationContext(moment, repository_name=repository_name)


def _status(value: DefaultScheduleStatus | str, owner: str) -> DefaultScheduleStatus:
    try:
        return DefaultScheduleStatus(value)
    except ValueError:
        raise DefinitionError(f"{owner}: default_status is RUNNING or STOPPED, not {value!r}") from None


ScheduleFunction: TypeAlias = Callable[..., Any]


class ScheduleDefinition:
    """A schedule: ``ScheduleDefinition(job=report, cron_schedule="0 6 * * *")``, or what ``@schedule`` makes."""

    def __init__(
        self,
        name: str | None = None,
        *,
        cron_schedule: str | Sequence[str],
        job: JobDefinition | str | None = None,
        job_name: str | None = None,
        run_config: AnyRunConfig = None,
        preset: str | None = None,
        tags: Mapping[str, Any] | None = None,
        execution_timezone: str | None = None,
        default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
        catch_up: CatchUp = "latest",
        description: str | None = None,
        execution_fn: ScheduleFunction | None = None,
    ) -> None:
        target = job if job is not None else job_name
        owner = f"schedule {name!r}" if name else "a schedule"
        if target is None:
            raise DefinitionError(f"{owner}: say which job it runs: job=… or job_name=…")
        self.job: Final = target if isinstance(target, JobDefinition) else None
        """The job itself, where the schedule was given it."""
        self.job_name: Final = target.name if isinstance(target, JobDefinition) else valid_name(target, f"{owner}: job")
        self.name: Final = valid_name(f"{self.job_name}_schedule" if name is None else name, "schedule")
        self.description: Final = description
        self.cron_schedules: Final = [cron_schedule] if isinstance(cron_schedule, str) else list(cron_schedule)
        self.execution_timezone: Final = execution_timezone or "UTC"
        self.default_status: Final = _status(default_status, f"schedule {self.name!r}")
        self.preset: Final = preset
        self.run_config: Final = as_run_config(run_config)
        self.tags: Final[Mapping[str, str]] = MappingProxyType(valid_tags(tags, owner))
        self.catch_up: Final[CatchUp] = catch_up
        self.execution_fn: Final = execution_fn
        self._owner: Final = f"schedule {self.name!r}"
        self._wants_context: Final = execution_fn is not None and _takes_context(execution_fn, self._owner)
        self._check()

    def __repr__(self) -> str:
        return f"<schedule {self.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call its function, as a test does."""
        if self.execution_fn is None:
            raise InvocationError(f"{self._owner} has no function; use .evaluate(build_schedule_context())")
        return self.execution_fn(*args, **kwargs)

    @property
    def default_running(self) -> bool:
        """Whether it runs before anybody has switched it."""
        return self.default_status is DefaultScheduleStatus.RUNNING

    def evaluate(self, context: ScheduleEvaluationContext) -> list[RunRequest] | SkipReason:
        """Return what is asked for at a tick: complete requests, or a reason to skip it.

        Raises:
            InvocationError: its function gives something else, or two requests that cannot be told apart.
        """
        moment = context.scheduled_execution_time.astimezone(ZoneInfo(self.execution_timezone))
        context = replace(context, scheduled_execution_time=moment, schedule_name=self.name)
        asked = _as_list(self._asked(context))
        skips = [one for one in asked if isinstance(one, SkipReason)]
        if skips and len(asked) > 1:
            raise InvocationError(f"{self._owner} gives a SkipReason beside other things; give one or the other")
        if not asked or skips:
            return skips[0] if skips else SkipReason(f"{self._owner} asked for nothing")
        return self._distinct([self._completed(one) for one in asked])

    def _asked(self, context: ScheduleEvaluationContext) -> Any:
        if self.execution_fn is None:
            return RunRequest()
        return self.execution_fn(context) if self._wants_context else self.execution_fn()

    def _completed(self, asked: Any) -> RunRequest:
        if isinstance(asked, RunConfig | Mapping):
            asked = RunRequest(run_config=asked)
        if not isinstance(asked, RunRequest):
            raise InvocationError(
                f"{self._owner} gives a {type(asked).__name__}; it gives RunRequests, a run config or a SkipReason"
            )
        return replace(
            asked,
            job_name=asked.job_name or self.job_name,
            preset=asked.preset or self.preset,
            run_config=merge_config(self.run_config, asked.run_config),
            tags={**self.tags, **asked.tags},
        )

    def _distinct(self, requests: list[RunRequest]) -> list[RunRequest]:
        keys = [request.run_key for request in requests]
        if len(set(keys)) < len(keys):
            raise InvocationError(
                f"{self._owner} asks for {len(keys)} runs at one tick: each needs a run_key of its own; it gave {keys}"
            )
        return requests

    def _check(self) -> None:
        if not self.cron_schedules:
            raise DefinitionError(f"{self._owner}: give at least one cron expression")
        for expression in self.cron_schedules:
            try:
                cron.check(expression, self.execution_timezone)
            except cron.InvalidCronError as error:
                raise DefinitionError(f"{self._owner}: {error}") from error
        if self.catch_up not in get_args(CatchUp):
            raise DefinitionError(f"{self._owner}: catch_up is one of {', '.join(get_args(CatchUp))}")
        if self.job is not None:
            check_preset(self, self.job)


def check_preset(schedule: ScheduleDefinition, job: JobDefinition) -> None:
    """Make sure that a schedule's preset is one of its job.

    Raises:
        DefinitionError: it is not.
    """
    if schedule.preset is not None and schedule.preset not in job.presets:
        known = ", ".join(job.presets) or "none"
        raise DefinitionError(
            f"schedule {schedule.name!r}: job {job.name!r} has no preset {schedule.preset!r}; its presets are: {known}"
        )


def _takes_context(function: ScheduleFunction, owner: str) -> bool:
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) > 1:
        raise DefinitionError(f"{owner}: its function takes one parameter, the ScheduleEvaluationContext, or none")
    return bool(parameters)


def _as_list(asked: Any) -> list[Any]:
    if asked is None:
        return []
    if isinstance(asked, Iterable) and not isinstance(asked, Mapping | str):
        return [one for one in asked if one is not None]
    return [asked]


def schedule(
    cron_schedule: str | Sequence[str],
    *,
    job: JobDefinition | str | None = None,
    job_name: str | None = None,
    name: str | None = None,
    preset: str | None = None,
    tags: Mapping[str, Any] | None = None,
    execution_timezone: str | None = None,
    default_status: DefaultScheduleStatus = DefaultScheduleStatus.STOPPED,
    catch_up: CatchUp = "latest",
    description: str | None = None,
) -> Callable[[ScheduleFunction], ScheduleDefinition]:
    """Make a schedule of a function that says what to run at a tick.

    The function takes the ``ScheduleEvaluationContext`` or nothing. It returns or yields run requests, returns
    a run config, or a ``SkipReason``.

    Args:
        cron_schedule: a cron expression, or several: their union.
        job: the job that it runs, or its name.
        job_name: the job's name, where the job is not at hand.
        name: the schedule's name; the function's if not given.
        preset: the preset of its requests that name no other.
        tags: tags of its runs.
        execution_timezone: the IANA name of the zone in which the cron expression is read; UTC if not given.
        default_status: whether it runs before anybody has switched it.
        catch_up: which ticks fire that were missed: ``skip`` none, ``latest`` the newest, ``all``.
        description: what it is for; the docstring if not given.
    """

    def decorate(function: ScheduleFunction) -> ScheduleDefinition:
        return ScheduleDefinition(
            function.__name__ if name is None else name,
            cron_schedule=cron_schedule,
            job=job,
            job_name=job_name,
            preset=preset,
            tags=tags,
            execution_timezone=execution_timezone,
            default_status=default_status,
            catch_up=catch_up,
            description=description or inspect.getdoc(function),
            execution_fn=function,
        )

    return decorate
