"""Why ``dagwire up`` cannot go on. Each message is one sentence that says what to do."""

from dagwire_shared.errors import DagwireError


class StandaloneError(DagwireError):
    """Do what the message says, then run ``dagwire up`` again."""


class PortInUseError(StandaloneError):
    """Stop the program that uses the port, or choose another port."""


class DirectoryInUseError(StandaloneError):
    """Stop the other ``dagwire up``, or give this one its own ``--directory``."""


class PartFailedError(StandaloneError):
    """Read the part's log, which the message names."""
