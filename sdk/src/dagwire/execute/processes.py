"""Step processes as a run sees them: started, given steps, listened to, signalled, and explained when they die."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from dagwire_shared.events import EngineNoted, Event, StepFailed, StepStarted
from dagwire_shared.records import CodePointer

from dagwire.config.model import AnyRunConfig, as_run_config
from dagwire.errors import StepProcessError, error_info
from dagwire.execute.environment import Emit, Environment
from dagwire.execute.messages import Assignment, Done, RunCall
from dagwire.execute.parallel import Pace, run_in_parallel
from dagwire.execute.progress import Outcome
from dagwire.execute.stepworker import Settled, StepRecord
from dagwire.executor import MultiprocessConfig

_EXIT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Origin:
    """What a step process needs to come to the same environment: the code, and the config as it was given."""

    pointer: CodePointer
    run_config: AnyRunConfig
    preset: str | None


def run_in_processes(environment: Environment, origin: Origin) -> dict[str, Outcome]:
    """Execute every step that can run, each in a process, and return how each ended.

    A process is used again, because starting one costs more than most steps
    (``docs/adr/0007-multiprocess-start-method.md``).

    Raises:
        RunCancellation: the run is to stop; all its step processes have ended.
    """
    settings = environment.resolved.execution
    if not isinstance(settings, MultiprocessConfig):  # pragma: no cover -- the executor's own config type
        raise TypeError(f"the multiprocess executor cannot be told {settings!r}")
    call = RunCall(
        origin.pointer,
        environment.run,
        as_run_config(origin.run_config),
        origin.preset,
        environment.storage_directory,
    )
    fields = {"max_concurrent": settings.limit, "reuse_processes": settings.reuse_processes}
    environment.emit(EngineNoted(message="steps run in processes of their own", fields=fields))

    def hire(settled: Settled) -> StepProcess:
        return StepProcess(call, environment.emit, settled)

    return run_in_parallel(environment, hire, Pace(limit=settings.limit, reuse=settings.reuse_processes))


class StepProcess:
    """A process that executes steps of one run: see ``stepworker.StepWorker``."""

    def __init__(self, call: RunCall, emit: Emit, settled: Settled) -> None:
        """Start it.

        Args:
            call: what it is told first.
            emit: is told its events, in order, from a thread of this object.
            settled: is told when a step has ended, by its word or by its death.
        """
        self._emit = emit
        self._settled = settled
        self._lock = threading.Lock()
        self._record: StepRecord | None = None
        self._over = False
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-m", "dagwire.execute.child", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        self._socket = ours
        self._connection = Connection(os.dup(ours.fileno()))
        self._connection.send(call)
        threading.Thread(target=self._watch, name="dagwire-watch", daemon=True).start()
        self._listener = threading.Thread(target=self._listen, name="dagwire-events", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def execute(self, assignment: Assignment) -> bool:
        """Give it a step; return False if the process is over and cannot take it."""
        with self._lock:
            if self._over:
                return False
            self._record = StepRecord(assignment.step_key)
        with contextlib.suppress(OSError):  # it died just now: the listener says so
            self._connection.send(assignment)
        return True

    def stop(self, *, force: bool) -> None:
        """Send it SIGTERM, or SIGKILL, if it is still there."""
        self._process.send_signal(signal.SIGKILL if force else signal.SIGTERM)

    def close(self) -> None:
        """Tell it that there is nothing more to do; it ends by itself."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def join(self) -> None:
        """Wait until it has ended; kill it if it takes too long."""
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_EXIT_SECONDS)
        self._connection.close()
        self._socket.close()

    def _watch(self) -> None:
        """Wait for the process's end. What it started may hold its socket open, so nobody would hear of it."""
        self._process.wait()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def _listen(self) -> None:
        try:
            while (message := self._received()) is not None:
                if isinstance(message, Done):
                    self._end()
                else:
                    self._take(message)
            self._lost()
        except Exception as error:  # noqa: BLE001 -- nobody else would hear of it, and the run would wait for ever
            self._process.kill()
            self._abandon(error)

    def _received(self) -> Event | Done | None:
        try:
            message: Event | Done = self._connection.recv()
        except (EOFError, OSError):
            return None
        return message

    def _take(self, event: Event) -> None:
        if self._record is not None:
            self._record.note(event)
        self._emit(event)

    def _end(self) -> None:
        with self._lock:
            record, self._record = self._record, None
        if record is not None:
            self._settled(self, record.key, record.outcome)

    def _lost(self) -> None:
        """Fail the step that the process leaves behind, if any."""
        with self._lock:
            self._over = True
            record = self._record
        if record is None:
            return
        if not record.told:
            error = StepProcessError(f"the process of step {record.key!r} {self._how_it_ended()}")
            if not record.started:
                self._take(StepStarted(step_key=record.key, pid=self.pid))
            self._take(StepFailed(step_key=record.key, error=error_info(error), seconds=0.0))
        self._end()

    def _abandon(self, error: Exception) -> None:
        """Fail the step because its events cannot be passed on."""
        with self._lock:
            self._over = True
            record, self._record = self._record, None
        if record is not None:
            outcome = Outcome("failed", frozenset(record.produced), failed_by=record.key, error=error_info(error))
            self._settled(self, record.key, outcome)

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its connection to the run"
        if code >= 0:
            return f"ended with exit code {code} before the step did; does the op call os._exit()?"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = ": out of memory, or killed by somebody" if -code == signal.SIGKILL else ""
        return f"was killed by {name}{hint}"
