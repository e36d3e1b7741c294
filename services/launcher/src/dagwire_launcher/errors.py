"""The launcher's errors. Each docstring says what happens next.

DagwireError
├── DirectoryError             the launcher's directory cannot be used
├── RequestRefusedError        a request that can never become a run
└── BackendError
    ├── LaunchRefusedError     the backend will not start this worker, however often it is asked
    └── BackendUnavailableError  the backend could not be asked
"""

from dagwire_shared.errors import DagwireError
from dagwire_shared.events import FailureCause


class DirectoryError(DagwireError):
    """Give the launcher a directory that it may write."""


class RequestRefusedError(DagwireError):
    """The request goes to the dead letters with this message as its cause."""


class BackendError(DagwireError):
    """The backend did not do what was asked."""


class LaunchRefusedError(BackendError):
    """The run is lost with this message: correct what it names, and request a new run."""

    def __init__(self, message: str, *, cause: FailureCause = FailureCause.LAUNCH_REFUSED) -> None:
        super().__init__(message)
        self.cause = cause
        """Under which cause the run is lost."""


class BackendUnavailableError(BackendError):
    """The run stays in the queue and is tried again."""
