"""Subjects: where each message goes. Built only from checked identifiers; no I/O.

One subject of ``DAGWIRE_EVENTS`` has one writer: the launcher writes ``launch`` and ``worker``, the run worker
``run``, ``step``, ``data``, ``log``, ``engine`` and ``order``, the scheduler ``tick``. A writer that lost an
acknowledgement can therefore tell from the subject's last message what was accepted (ADR 0003).
"""

import re
from enum import StrEnum
from typing import Final

from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.ids import RunId, check_run_id, key_hash

ROOT: Final = "dagwire.v1"
"""The version of the bus is in every subject."""

SHARDS: Final = "0123456789abcdef"
"""A run's shard is the first hex digit of its id, so consumers can split the work and keep each run's order."""

STORED_SIGNAL: Final = f"{ROOT}.signal.stored"
"""The event store notifies here after each commit: ``{"epoch": 1, "shards": {"a": 4711}}``."""

KNOWN_QUESTION: Final = f"{ROOT}.ask.known"
"""The event store answers here whether a run id (the body) was ever recorded: ``1`` or ``0``."""


class Kind(StrEnum):
    """The family of an event: the last token of its subject."""

    LAUNCH = "launch"
    WORKER = "worker"
    RUN = "run"
    STEP = "step"
    DATA = "data"
    LOG = "log"
    ENGINE = "engine"
    ORDER = "order"
    TICK = "tick"


class StepTalk(StrEnum):
    """What a run worker and its step workers talk about: the last token of the subject. Leaves no trace on the bus."""

    HELLO = "hello"
    """A step worker asks for its assignment."""
    REPORT = "report"
    """A step worker hands over events, and asks whether to go on."""
    STOP = "stop"
    """The run worker says that some step is to stop; who hears it asks at once."""


def request_subject(key: str) -> str:
    """Return the subject on which the run request with this idempotency key is published."""
    return f"{ROOT}.request.{key_hash(key)}"


def queue_subject(run_id: RunId) -> str:
    """Return the subject under which a run waits to be launched."""
    return f"{ROOT}.queue.{check_run_id(run_id)}"


def control_subject(run_id: RunId) -> str:
    """Return the subject of orders to one run."""
    return f"{ROOT}.control.{check_run_id(run_id)}"


def step_subject(run_id: RunId, talk: StepTalk) -> str:
    """Return the subject on which a run's step workers and its run worker talk; plain NATS, no stream."""
    return f"{ROOT}.step.{check_run_id(run_id)}.{talk}"


def event_subject(aggregate: str, kind: Kind) -> str:
    """Return the subject of an event of this kind about a run or a schedule (by its id)."""
    return f"{ROOT}.event.{shard_of(aggregate)}.{aggregate}.{kind}"


def event_filter(aggregate: str) -> str:
    """Return the subject filter that matches every event about one run or schedule."""
    return f"{ROOT}.event.{shard_of(aggregate)}.{aggregate}.*"


def shard_filter(shard: str) -> str:
    """Return the subject filter that matches every event of one shard (a hex digit)."""
    if len(shard) != 1 or shard not in SHARDS:
        raise InvalidIdentifierError(f"{shard!r} is not a shard: it is one of {SHARDS}")
    return f"{ROOT}.event.{shard}.>"


def kind_filter(kind: Kind) -> str:
    """Return the subject filter that matches every event of one kind, of any run."""
    return f"{ROOT}.event.*.*.{kind}"


def dead_subject(stream: str) -> str:
    """Return the subject under which messages of ``stream`` that nobody could handle are kept."""
    return f"{ROOT}.dead.{stream}"


def shard_of(aggregate: str) -> str:
    """Return the shard of a run's or a schedule's id."""
    return check_run_id(aggregate)[0]


_STATE_KEY: Final = re.compile(r"[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*")


def check_state_key(key: str) -> str:
    """Return a key that the state bucket can hold: it becomes part of a subject.

    Raises:
        InvalidIdentifierError: it cannot.
    """
    if _STATE_KEY.fullmatch(key) is None:
        rule = "use letters, digits, '-', '_', '/' and '=', with single dots between them"
        raise InvalidIdentifierError(f"{key[:80]!r} is not a valid state key: {rule}")
    return key
