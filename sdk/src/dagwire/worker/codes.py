"""The run worker's exit codes."""

from typing import Final

from dagwire_shared.errors import DagwireError, PermissionDeniedError

EXIT_TOLD: Final = 0
"""The run's end, whatever it was, is acknowledged."""
EXIT_UNTOLD: Final = 1
"""The run ended, and the bus did not take that."""
EXIT_USAGE: Final = 2
"""Wrong command line, settings or launch file."""
EXIT_RUN_GONE: Final = 70
"""A step's worker: its run worker is gone, or takes nothing more from it."""
EXIT_CLAIM_LOST: Final = 75
"""Another worker has the run or the step, or it was over before it began: this one did nothing."""
EXIT_INTERRUPTED: Final = 76
"""A signal interrupted the run; all but its end is told, and the launcher says that."""
EXIT_DENIED: Final = 77
"""The credential does not let this worker speak for its run."""


class RunGoneError(DagwireError):
    """Nothing is to be done: the run of this step has ended, is about to be found lost, or goes on without it."""


def exit_code(error: BaseException) -> int:
    """Return the exit code of a worker that cannot speak to the bus."""
    if isinstance(error, RunGoneError):
        return EXIT_RUN_GONE
    return EXIT_DENIED if isinstance(error, PermissionDeniedError) else EXIT_UNTOLD
