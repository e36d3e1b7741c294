"""What the API server answers beside what was asked for. Each docstring says what that means for a caller.

ApiError
├── ApiAwayError      no answer: whether it was done is unknown
└── ApiRefusedError   an answer with a status that is no success
"""

from collections.abc import Mapping
from typing import Any, Final

from dagwire_shared.errors import DagwireError

_SERVER_FAULT: Final = 500


class ApiError(DagwireError):
    """A request to the API server did not succeed."""

    @property
    def outcome_unknown(self) -> bool:
        """Whether it may have been done nevertheless."""
        return True


class ApiAwayError(ApiError):
    """The API server was not reached, or did not answer in time."""


class ApiRefusedError(ApiError):
    """The API server answered with a status: a number, a reason for machines and a message for people."""

    def __init__(self, status: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}

    @property
    def outcome_unknown(self) -> bool:
        """Whether it may have been done nevertheless."""
        return self.status >= _SERVER_FAULT

    @property
    def causes(self) -> set[str]:
        """The reasons that the details name."""
        return {one.get("reason", "") for one in self.details.get("causes", [])}
