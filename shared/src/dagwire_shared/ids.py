"""Identifiers: how they are made and what they may look like.

Every name that becomes a subject token, a path, a Kubernetes name or a SQL value passes through here
first; nothing in this module does I/O.
"""

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NewType

from dagwire_shared.errors import InvalidIdentifierError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

RunId = NewType("RunId", str)
"""A UUID in its canonical lower-case form, derived from a request's idempotency key."""

ScheduleId = NewType("ScheduleId", str)
"""A UUID in its canonical lower-case form, derived from location, repository and schedule name."""

RUN_NAMESPACE: Final = uuid.UUID("6f1b4c1e-7d1c-5a51-9a53-0d3c6a1f6b52")
"""The UUIDv5 namespace of run ids. Part of the public contract: it never changes."""

SCHEDULE_NAMESPACE: Final = uuid.UUID("b1f5a4f0-27d9-5d0b-8a39-3c0f2d7f1c11")
"""The UUIDv5 namespace of schedule ids. Part of the public contract: it never changes."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_LOCATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_STEP: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62}){0,15}")
_KEY: Final = re.compile(r"[^\x00-\x1f\x7f]{1,512}")


def run_id_for(key: str) -> RunId:
    """Return the run id of an idempotency key; the same key gives the same run, for ever."""
    return RunId(str(uuid.uuid5(RUN_NAMESPACE, key)))


def schedule_id_for(location: str, repository: str, schedule: str) -> ScheduleId:
    """Return the id under which a schedule's ticks and switches are recorded."""
    return ScheduleId(str(uuid.uuid5(SCHEDULE_NAMESPACE, f"{location}/{repository}/{schedule}")))


def tick_key(schedule_id: ScheduleId, nominal: datetime, run_key: str | None = None) -> str:
    """Return the idempotency key of the run that a schedule's tick asks for.

    ``nominal`` is the tick's time by the cron rule, not the time of its evaluation, so that neither
    clock skew nor a restart can make a second key.
    """
    instant = nominal.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"schedule:{schedule_id}@{instant}" + (f"#{run_key}" if run_key is not None else "")


def key_hash(key: str) -> str:
    """Return the subject token of an idempotency key: the first 32 hex digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _matching(pattern: re.Pattern[str], what: str, rule: str, value: str) -> str:
    if pattern.fullmatch(value) is None:
        raise InvalidIdentifierError(f"{value[:80]!r} is not a valid {what}: {rule}")
    return value


def check_name(value: str) -> str:
    """Return ``value`` if it can name an op, job, graph, repository, schedule or resource.

    Raises:
        InvalidIdentifierError: it is not 1 to 63 letters, digits and underscores, or begins with a digit.
    """
    return _matching(_NAME, "name", "use 1 to 63 letters, digits and underscores, not a digit first", value)


def check_location(value: str) -> str:
    """Return ``value`` if it can name a code location.

    Raises:
        InvalidIdentifierError: it is not 1 to 63 letters, digits, hyphens and underscores.
    """
    rule = "use 1 to 63 letters, digits, hyphens and underscores, a letter or digit first"
    return _matching(_LOCATION, "code location name", rule, value)


def check_run_id(value: str) -> RunId:
    """Return ``value`` as a run id.

    Raises:
        InvalidIdentifierError: it is not a UUID in canonical lower-case form.
    """
    return RunId(_matching(_UUID, "run id", "it is a UUID in lower case", value))


def check_step_key(value: str) -> str:
    """Return ``value`` if it is a step key: op names joined by dots, outermost graph first.

    Raises:
        InvalidIdentifierError: it is anything else.
    """
    return _matching(_STEP, "step key", "names joined by dots", value)


def check_key(value: str) -> str:
    """Return ``value`` if it can be an idempotency key.

    Raises:
        InvalidIdentifierError: it is not 1 to 512 printable characters.
    """
    return _matching(_KEY, "idempotency key", "use 1 to 512 printable characters", value)


class _Checked:
    """A field's check, as pydantic's ``AfterValidator``.

    Pydantic is imported when the first model is built, not here: a run worker takes its run before that.
    """

    def __init__(self, check: Callable[[str], str]) -> None:
        self._check = check

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core.core_schema import no_info_after_validator_function  # noqa: PLC0415 -- see above

        return no_info_after_validator_function(self._check, handler(source))


class _Limited:
    """A text of limited length."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core.core_schema import str_schema  # noqa: PLC0415 -- as above

        return str_schema(max_length=self._max_length)


Name = Annotated[str, _Checked(check_name)]
LocationName = Annotated[str, _Checked(check_location)]
RunIdField = Annotated[RunId, _Checked(check_run_id)]
StepKey = Annotated[str, _Checked(check_step_key)]
IdempotencyKey = Annotated[str, _Checked(check_key)]
Tag = Annotated[str, _Limited(256)]
Tags = dict[Tag, Tag]
