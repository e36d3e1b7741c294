"""Waits until everything that was said is accepted: the last thing that a worker does."""

import logging
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

from dagwire.worker.codes import EXIT_TOLD, EXIT_UNTOLD, exit_code
from dagwire.worker.link import Link
from dagwire.worker.outbox import Outbox

log = logging.getLogger(__name__)

_PROGRESS_SECONDS: Final = 10.0


def until_told(link: Link, outbox: Outbox, *, seconds: float) -> int:
    """Wait for the link to finish its work on a closed outbox, and return the worker's exit code."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            link.finished.result(timeout=min(left, _PROGRESS_SECONDS))
        except FutureTimeoutError:
            log.warning("all is done; the last events wait to be taken: %s", outbox.waiting)
        except Exception as error:  # noqa: BLE001 -- the last resort: the process must end with a code that says so
            log.error("the end cannot be told: %s", error)  # noqa: TRY400 -- as above
            return exit_code(error)
        else:
            return EXIT_TOLD
    log.error("the last events were not taken in time: %s are lost", outbox.waiting)
    return EXIT_UNTOLD
