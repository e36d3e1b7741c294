"""``python -m dagwire.worker``: builds the run worker from its command line and environment, and runs it."""

import atexit
import faulthandler
import gc
import logging
import os
import sys
import uuid
from typing import Final, NoReturn

# What is imported lives as long as the process: looking through it for garbage is a tenth of the start.
gc.disable()

from dagwire_shared.errors import DagwireError  # noqa: E402
from dagwire_shared.logs import TextFormatter  # noqa: E402

from dagwire.worker.link import connected  # noqa: E402
from dagwire.worker.run import Run, read_launch  # noqa: E402
from dagwire.worker.settings import load_settings, read_arguments  # noqa: E402

_EXIT_USAGE: Final = 2
_OWN_LOGGERS: Final = ("dagwire", "dagwire_shared", "nats")


def main() -> int:
    """Run one job, and return the exit code."""
    arguments = read_arguments(sys.argv[1:])
    try:
        settings = load_settings(os.environ)
        launch = read_launch(arguments.launch_file)
    except DagwireError as error:
        print(f"dagwire.worker: {error}", file=sys.stderr)  # noqa: T201 -- there is no log before settings
        return _EXIT_USAGE
    _log_apart(settings.log_level)
    gc.freeze()
    gc.enable()
    run_id = launch.order.run_id
    return Run(launch, arguments.pointer, settings).main(
        lambda: connected(settings.nats_url, run_id, inbox_prefix=settings.inbox_prefix), worker=uuid.uuid4().hex
    )


def _log_apart(level: str) -> None:
    """Write the worker's own log to where standard error went first: what user code writes becomes events."""
    stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    faulthandler.enable(stream)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter())
    for name in _OWN_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False


def leave(code: int) -> NoReturn:
    """End the process: exit handlers run, threads that user code left behind are not waited for.

    Taking the interpreter apart would cost 40 ms of CPU in every run, for nothing.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 -- the one way to run them before ``_exit``
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
