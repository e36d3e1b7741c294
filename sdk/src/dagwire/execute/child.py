"""A step process: loads the code, executes the steps it is told, one at a time, and sends their events.

Started as ``python -m dagwire.execute.child <descriptor>`` by ``processes``. It ends when its run does.
"""

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from types import FrameType
from typing import Final, NoReturn

from dagwire_shared.events import Event

from dagwire.code import load
from dagwire.execute.assigned import AssignedSteps, fail
from dagwire.execute.cancellation import RunCancellation
from dagwire.execute.logs import CurrentStep, captured_logging
from dagwire.execute.messages import Assignment, Done, RunCall
from dagwire.execute.run import prepare
from dagwire.execute.streams import Capture, captured_descriptors

_LINGER_SECONDS: Final = 10.0
"""How long a step may go on after its run is gone; then the process ends at once."""
_RUN_IS_GONE: Final = 70


class Channel:
    """The process's side of the connection to its run. Events go out from any thread, in order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.assignments: Final[queue.SimpleQueue[Assignment | None]] = queue.SimpleQueue()
        """What is to be executed; None: nothing more."""
        self.busy = False

    def emit(self, event: Event) -> None:
        """Send an event."""
        self._send(event)

    def done(self) -> None:
        """Say that the step has ended."""
        self._send(Done())

    def _send(self, message: object) -> None:
        with self._lock, contextlib.suppress(OSError):  # the run is gone: nobody asks any more, and listen() ends it
            self._connection.send(message)

    def listen(self) -> None:
        """Receive assignments until the run closes the connection; then end what still runs."""
        while True:
            try:
                self.assignments.put(self._connection.recv())
            except (EOFError, OSError):
                break
        self.assignments.put(None)
        if self.busy:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_LINGER_SECONDS)
            os._exit(_RUN_IS_GONE)


def main(descriptor: int) -> NoReturn:
    """Serve the run at the other end of the descriptor until it is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run hears it too, and decides
    connection = Connection(descriptor)
    call: RunCall = connection.recv()
    channel = Channel(connection)
    current = CurrentStep()
    threading.Thread(target=channel.listen, name="dagwire-listen", daemon=True).start()
    with ExitStack() as stack:
        stack.enter_context(captured_logging(channel.emit, current))
        capture = stack.enter_context(captured_descriptors(channel.emit, current))
        signal.signal(signal.SIGTERM, _cancel)
        with contextlib.suppress(RunCancellation):  # told to stop between two steps
            _serve(call, channel, current, capture)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads that user code left behind do not keep the process


def _serve(call: RunCall, channel: Channel, current: CurrentStep, capture: Capture) -> None:
    steps: AssignedSteps | None = None
    while (assignment := channel.assignments.get()) is not None:
        channel.busy = True
        try:
            if steps is None:
                steps = _steps(call, channel, current, capture)
                capture.settle()  # what the import wrote belongs to no step
            steps.execute(assignment)
        except BaseException as error:  # noqa: BLE001 -- the code does not load here: the step fails by it
            fail(channel.emit, assignment.step_key, error, 0.0)
        channel.busy = False
        channel.done()


def _steps(call: RunCall, channel: Channel, current: CurrentStep, capture: Capture) -> AssignedSteps:
    job = load(call.pointer).job(call.run.repository, call.run.job)
    environment = prepare(job, call.run, call.run_config, call.preset, channel.emit, call.storage_directory)
    return AssignedSteps(environment, current, capture)


def _cancel(_number: int, _frame: FrameType | None) -> None:
    raise RunCancellation("the run was canceled")


if __name__ == "__main__":
    main(int(sys.argv[1]))
