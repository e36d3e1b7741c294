"""The errors of the bus contract, as one short tree. Each docstring says what to do next.

DagwireError
├── InvalidIdentifierError   a name cannot become a subject, path or key
├── MalformedMessageError    bytes from the bus are not what the contract says
├── SettingsError            the environment's settings are wrong; all faults are listed at once
└── BusError
    ├── BusUnavailableError  no acknowledgement before the deadline: the outcome is unknown
    ├── ConflictError        somebody else wrote the subject or key first
    └── PermissionDeniedError  the credential does not allow this subject
"""


class DagwireError(Exception):
    """The root of every error that Dagwire raises on purpose."""


class InvalidIdentifierError(DagwireError, ValueError):
    """Rename it as the message says."""


class MalformedMessageError(DagwireError, ValueError):
    """Send what ``docs/reference/asyncapi.yaml`` describes; the message goes to the dead letters."""


class SettingsError(DagwireError):
    """Correct the settings listed in the message, then start again."""


class BusError(DagwireError):
    """The bus did not do what was asked."""


class BusUnavailableError(BusError):
    """Publish again under the same message id: whether the first try was accepted is unknown."""


class ConflictError(BusError):
    """Read what is there now, decide again, and publish only if it is still wanted."""

    def __init__(self, message: str, *, last_sequence: int | None = None) -> None:
        super().__init__(message)
        self.last_sequence = last_sequence
        """The sequence that the server holds instead, if it said so."""


class PermissionDeniedError(BusError):
    """Use a credential that allows the subject named in the message."""
