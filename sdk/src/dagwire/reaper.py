"""Does what the first process of a container must do, so that user code can be an ordinary process beside it.

The kernel lets no default signal reach a first process, and gives it every orphan of the container. It knows nothing
of runs and imports next to nothing: it stays in memory as long as the container lives.
"""

import os
import signal
from typing import Final

_FIRST: Final = 1
_FORWARDED: Final = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)
_HEARD: Final = _FORWARDED | {signal.SIGCHLD}


def stand_apart() -> None:
    """Go on in a child if this is the first process of a container; anywhere else, do nothing.

    The first process then never returns: it passes signals on to the child, collects every process that ends, and
    ends as the child did, by an exit code of 128 plus the signal's number if one killed it. Call it before there are
    threads.
    """
    if os.getpid() != _FIRST:
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_outlast(child))


def _outlast(child: int) -> int:
    """Serve until the child has ended, and return the exit code that tells how."""
    while True:
        heard = signal.sigwait(_HEARD)
        if heard != signal.SIGCHLD:
            os.kill(child, heard)  # not collected yet, so the number is still the child's
        elif (status := _collect(child)) is not None:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _collect(child: int) -> int | None:
    """Collect all that has ended; return how the child did, if it is among them."""
    found: int | None = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # there is none left
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status
