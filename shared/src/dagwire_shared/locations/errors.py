"""What a question to a code server can end in instead of an answer; no I/O.

LocationError
├── LocationUnavailableError   the server is away, or its code is broken
│   └── LocationTimeoutError   the server lives, but did not answer in time
├── NotFoundError              it has no such location, repository, job or schedule
├── InvalidRequestError        it refused what was asked, and says why
└── CodeServerError            it broke over the question
"""

from dagwire_shared.errors import DagwireError


class LocationError(DagwireError):
    """A code server did not answer a question."""


class LocationUnavailableError(LocationError):
    """Ask again when the location is back: its state says when, and nothing needs to be reloaded by hand."""


class LocationTimeoutError(LocationUnavailableError):
    """Make the user code that the message names answer faster, or raise the deadline."""


class NotFoundError(LocationError):
    """Use a name that the location's definitions have."""


class InvalidRequestError(LocationError):
    """Correct the request as the message says."""


class CodeServerError(LocationError):
    """Look at the code server's log: it failed where it should have answered."""
