"""Decides what becomes of a run request, given what is known of its run. No I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from dagwire_shared.commands import LaunchRun, RequestRun, RunCode
from dagwire_shared.envelope import decode
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.events import Event, FailureCause, Origin, RunLost, RunQueued
from dagwire_shared.ids import RunId, Tags, run_id_for
from dagwire_shared.records import CodeLocation
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import request_subject

from dagwire_launcher.errors import RequestRefusedError

PRIORITY_TAG: Final = "dagwire/priority"
"""The tag that moves a run forward (positive) or back (negative) in the queue."""

LARGEST_REQUEST: Final = 256 * 1024
"""In bytes. A request is copied into an event and a queue message, and those must fit the server's limit."""

_LEFT_OUT: Final = RequestRun.model_fields["repository"].default
LARGEST_PRIORITY: Final = 1_000_000

LATEST_KEY: Final = timedelta(days=1)
"""How far in the future a key's time may lie. Beyond it the age of a key could not tell a repeated one."""


def _witness_age() -> timedelta:
    if EVENTS.max_age is None:  # pragma: no cover -- events have an age
        return timedelta(days=3650)
    return EVENTS.max_age - timedelta(days=1)


WITNESS_AGE: Final = _witness_age()
"""A key older than this may have had its run already and be forgotten by the streams: the event store is asked."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that may become a run."""

    run_id: RunId
    request: RequestRun
    traceparent: str | None


def read_request(subject: str, body: bytes, *, now: datetime) -> Admission:
    """Return what is asked for.

    Raises:
        RequestRefusedError: it can never become a run; the message says why.
    """
    if len(body) > LARGEST_REQUEST:
        raise RequestRefusedError(f"the request has {len(body)} bytes; at most {LARGEST_REQUEST} are taken")
    try:
        envelope = decode(body)
        command = envelope.command
    except MalformedMessageError as error:
        raise RequestRefusedError(str(error)) from error
    if not isinstance(command, RequestRun):
        raise RequestRefusedError(f"a {envelope.type} was published where {RequestRun.TYPE} belongs")
    if subject != request_subject(command.key):
        raise RequestRefusedError(f"the subject of this key is {request_subject(command.key)}, it came on {subject}")
    if command.key_time > now + LATEST_KEY:
        raise RequestRefusedError(f"key_time {command.key_time.isoformat()} lies more than a day in the future")
    return Admission(run_id_for(command.key), command, envelope.traceparent)


def needs_witness(request: RequestRun, *, stored: datetime, now: datetime) -> bool:
    """Return whether the streams are too young to say that this run never was: then the event store is asked.

    Args:
        request: the request.
        stored: when the stream took its message.
        now: the time.
    """
    return now - min(request.key_time, stored) > WITNESS_AGE


class Next(Enum):
    """What to do with a request whose run is recorded."""

    ENQUEUE = "enqueue"
    """Put it on the queue; a second time is refused by the queue, and harmless."""
    LOSE = "lose"
    """Nobody serves its code location: end the run."""
    WAIT = "wait"
    """Its code location may still be starting: look again soon."""
    DONE = "done"
    """It was launched or has ended: nothing is left to do."""


def next_step(last: Event | None, *, located: bool, waited: timedelta, patience: timedelta) -> Next:
    """Decide what a recorded run needs.

    Args:
        last: the last event of the launcher about the run.
        located: whether its code location is known.
        waited: for how long the request has been there.
        patience: for how long an unknown code location is waited for.
    """
    if not isinstance(last, RunQueued):
        return Next.DONE
    if located:
        return Next.ENQUEUE
    return Next.WAIT if waited < patience else Next.LOSE


def queued(request: RequestRun) -> RunQueued:
    """Return the event that admits a request."""
    return RunQueued(
        key=request.key,
        location=request.location,
        repository=request.repository,
        job=request.job,
        preset=request.preset,
        run_config=request.run_config,
        tags=request.tags,
        requested_by=request.requested_by,
        requested_at=request.key_time,
        origin=request.origin,
        priority=priority(request.tags),
    )


def launch_order(admission: Admission, location: CodeLocation) -> LaunchRun:
    """Return what goes on the queue: the request, and the code that its location serves now."""
    request = admission.request
    return LaunchRun(
        run_id=admission.run_id, request=request, priority=priority(request.tags), code=run_code(request, location)
    )


def run_code(request: RequestRun, location: CodeLocation) -> RunCode:
    """Return the code that a run of this request executes, as its location serves it."""
    return RunCode(
        image=location.image,
        pointer=location.pointer,
        container_context=location.container_context,
        container_config=location.container_configs.get(_repository(request, location), {}).get(request.job, {}),
    )


def _repository(request: RequestRun, location: CodeLocation) -> str:
    """Return the repository that is meant: who leaves it out means the only one, as the worker takes it, too."""
    if request.repository == _LEFT_OUT and len(location.repositories) == 1:
        return next(iter(location.repositories))
    return request.repository


def with_origin(request: RequestRun, location: CodeLocation | None) -> RequestRun:
    """Return the request with the code version that its location serves now, unless it names one."""
    if location is None or request.origin != Origin():
        return request
    origin = Origin(image=location.image, definitions_hash=location.definitions_hash)
    return request.model_copy(update={"origin": origin})


def unknown_location(request: RequestRun) -> RunLost:
    """Return the event that ends a run whose code location nobody serves."""
    return RunLost(
        cause=FailureCause.CODE_LOCATION_UNKNOWN,
        message=f"No code location named {request.location!r} has loaded: start its code server, name it in the"
        " workspace file, and see in Dagit whether it loads. Then request the run again under a new key.",
    )


def priority(tags: Tags) -> int:
    """Return a run's priority from its tags; what is not a whole number counts as 0."""
    try:
        value = int(tags.get(PRIORITY_TAG, "0"))
    except ValueError:
        return 0
    return max(-LARGEST_PRIORITY, min(LARGEST_PRIORITY, value))
