"""The errors that Dagit answers with: each has a stable code, an HTTP status and a message that says what to do.

ApiError
├── InvalidRequestError     422 invalid_request   the request is not what the API says, with each place
├── ConfigInvalidError      422 config_invalid    the run config does not fit the job, with each place
├── UnknownError            404 <what>_unknown    no such run, job, schedule, location …
├── ConflictingError        409 run_ended …       the thing is not in the state for this
├── ForbiddenError          403 forbidden         the permission is missing
├── FailedError             502 location_failed   a code server broke over the question
└── UnavailableError        503 …_unavailable     bus, database or code server away; Retry-After says when
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from dagwire_shared.errors import DagwireError

from dagwire_dagit.models import ErrorDetail, Problem

RETRY_AFTER_SECONDS: Final = 2
"""What 503 answers suggest: a restart of NATS or PostgreSQL takes a few seconds."""


class ApiError(DagwireError):
    """The request cannot be answered as asked; the message says why."""

    status: ClassVar[int] = 500
    code: str = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, details: Sequence[ErrorDetail] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code if code is not None else type(self).code
        self.details = list(details)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer."""
        return {}

    @property
    def problem(self) -> Problem:
        """The body of the answer."""
        return Problem(code=self.code, message=self.message, details=self.details)


class InvalidRequestError(ApiError):
    """Correct the fields that the details name."""

    status = 422
    code = "invalid_request"


class ConfigInvalidError(ApiError):
    """Correct the run config at the places that the details name."""

    status = 422
    code = "config_invalid"


class UnknownError(ApiError):
    """Look at the list of what exists."""

    status = 404
    code = "unknown"


class ConflictingError(ApiError):
    """Read the present state and decide again."""

    status = 409
    code = "conflict"


class ForbiddenError(ApiError):
    """Ask for the permission, or call from an allowed place."""

    status = 403
    code = "forbidden"


class FailedError(ApiError):
    """Look at the code server's log."""

    status = 502
    code = "location_failed"


class UnavailableError(ApiError):
    """Try again after the seconds that ``Retry-After`` names."""

    status = 503
    code = "unavailable"

    @property
    def headers(self) -> Mapping[str, str]:
        """When to try again."""
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
