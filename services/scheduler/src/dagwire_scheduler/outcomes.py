"""What a tick comes to: the runs it requests and the event that records it. Pure.

An answer of user code that cannot be carried out fails the tick, with an error that says what to change.
"""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.commands import RequestRun
from dagwire_shared.envelope import describe
from dagwire_shared.errors import DagwireError
from dagwire_shared.events import ErrorInfo, RequestedBy, TickFailed, TickRequested, TickSkipped
from dagwire_shared.ids import run_id_for, tick_key
from dagwire_shared.locations import error_info
from dagwire_shared.model import Json
from pydantic import ValidationError

from dagwire_scheduler.schedules import Identity, Schedule

SCHEDULE_TAG: Final = "dagwire/schedule_name"
TIME_TAG: Final = "dagwire/scheduled_time"
RUN_KEY_TAG: Final = "dagwire/run_key"

TickEvent = TickRequested | TickSkipped | TickFailed


class InvalidAnswerError(DagwireError):
    """Change the schedule's function as the message says."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be published for a tick: the requests, then the event."""

    event: TickEvent
    requests: Sequence[RequestRun] = ()


def instant(nominal: datetime) -> str:
    """Return a tick's time as ids and tags write it."""
    return nominal.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def outcome_of(schedule: Schedule, nominal: datetime, answer: pb.EvaluateScheduleResponse) -> Outcome:
    """Return what the answer of a schedule's function comes to."""
    if answer.HasField("error"):
        return failed(schedule.identity, nominal, error_info(answer.error))
    try:
        requests = _requests(schedule, nominal, answer)
    except InvalidAnswerError as error:
        return failed(schedule.identity, nominal, ErrorInfo(type=type(error).__name__, message=str(error)))
    if not requests:
        reason = answer.skip_reason or "the schedule asked for no run"
        return skipped(schedule.identity, nominal, reason)
    identity = schedule.identity
    event = TickRequested(
        location=identity.location,
        repository=identity.repository,
        schedule=identity.name,
        nominal_time=nominal,
        run_ids=[run_id_for(request.key) for request in requests],
    )
    return Outcome(event, requests)


def failed(identity: Identity, nominal: datetime, error: ErrorInfo) -> Outcome:
    """Return the outcome of a tick that user code, or what it asked for, broke."""
    event = TickFailed(
        location=identity.location,
        repository=identity.repository,
        schedule=identity.name,
        nominal_time=nominal,
        error=error,
    )
    return Outcome(event)


def skipped(identity: Identity, nominal: datetime, reason: str, *, missed: bool = False) -> Outcome:
    """Return the outcome of a tick that asks for nothing."""
    event = TickSkipped(
        location=identity.location,
        repository=identity.repository,
        schedule=identity.name,
        nominal_time=nominal,
        reason=reason,
        missed=missed,
    )
    return Outcome(event)


def _requests(schedule: Schedule, nominal: datetime, answer: pb.EvaluateScheduleResponse) -> list[RequestRun]:
    wanted = list(answer.run_requests)
    if wanted and answer.HasField("skip_reason"):
        raise InvalidAnswerError("it gave both run requests and a skip reason: give one of them")
    _check_keys(wanted)
    return [_request(schedule, nominal, request) for request in wanted]


def _check_keys(wanted: Sequence[pb.RunRequest]) -> None:
    if len(wanted) < 2:  # noqa: PLR2004 -- one request needs no key of its own
        return
    keys: set[str] = set()
    for number, request in enumerate(wanted, start=1):
        if not request.HasField("run_key"):
            raise InvalidAnswerError(
                f"it asked for {len(wanted)} runs, and number {number} has no run_key: give each RunRequest of one "
                "tick a run_key of its own, so that none can be requested twice"
            )
        if request.run_key in keys:
            raise InvalidAnswerError(f"it asked for two runs with the run_key {request.run_key!r}: give each its own")
        keys.add(request.run_key)


def _request(schedule: Schedule, nominal: datetime, request: pb.RunRequest) -> RequestRun:
    definition, identity = schedule.definition, schedule.identity
    job_name = request.job or definition.job
    job = schedule.jobs.get(job_name)
    if job is None:
        raise InvalidAnswerError(
            f"it asked for the job {job_name!r}, which repository {identity.repository!r} does not have"
            + _hint(job_name, schedule.jobs)
        )
    default = definition.preset if job_name == definition.job else ""
    preset = _preset(request.preset or default, job)
    run_key = request.run_key if request.HasField("run_key") else None
    tags = {
        **job.tags,
        **(preset.tags if preset is not None else {}),
        **definition.tags,
        **request.tags,
        SCHEDULE_TAG: identity.name,
        TIME_TAG: instant(nominal),
        **({RUN_KEY_TAG: run_key} if run_key is not None else {}),
    }
    try:
        return RequestRun(
            key=tick_key(identity.id, nominal, run_key),
            key_time=nominal,
            location=identity.location,
            repository=identity.repository,
            job=job_name,
            preset=preset.name if preset is not None else None,
            run_config=_config(request.run_config_json),
            tags=tags,
            requested_by=RequestedBy(kind="schedule", name=identity.name),
        )
    except ValidationError as error:
        raise InvalidAnswerError(f"it asked for a run that cannot be requested: {describe(error)}") from error


def _preset(name: str, job: pb.Job) -> pb.Preset | None:
    if not name:
        return None
    presets = {preset.name: preset for preset in job.presets}
    if name not in presets:
        raise InvalidAnswerError(
            f"it asked for the preset {name!r}, which job {job.name!r} does not have" + _hint(name, presets)
        )
    return presets[name]


def _config(text: str) -> Json:
    try:
        config = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidAnswerError(f"its run config is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise InvalidAnswerError(f"its run config is not a mapping but {type(config).__name__}")
    return config


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; it has {', '.join(names)}" if names else "; it has none"
