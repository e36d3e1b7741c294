"""Stdout and stderr as events, line by line, while they still reach where they went before.

Two ways: ``captured_descriptors`` catches everything that the process and its children write, and owns the
process (a run worker); ``captured_text`` catches what Python code writes, and leaves the process alone (a test).
"""

import codecs
import contextlib
import fcntl
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal, NamedTuple, TextIO, cast

from dagwire_shared.events import LogLevel, LogWritten

from dagwire.execute.logs import CurrentStep, Emit

StreamName = Literal["stdout", "stderr"]
_LONGEST_LINE: Final = 32_768
_CHUNK: Final = 65_536
_PIPE_SIZE: Final = 1 << 20
"""Code that holds the interpreter's lock while it writes more than fits in the pipe would wait for itself."""
_SYNC_SECONDS: Final = 5.0
_SET_PIPE_SIZE: Final = 1031  # fcntl.F_SETPIPE_SZ, which is named only where it exists


class _Lines:
    """Cuts text into lines and emits them."""

    def __init__(self, name: StreamName, emit: Emit, step: CurrentStep) -> None:
        self._name: Final = name
        self._emit = emit
        self._step = step
        self._rest = ""

    def add(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)
        while len(self._rest) > _LONGEST_LINE:
            self._line(self._rest[:_LONGEST_LINE])
            self._rest = self._rest[_LONGEST_LINE:]

    def end(self) -> None:
        """Emit what stands without a line's end."""
        rest, self._rest = self._rest, ""
        if rest:
            self._line(rest)

    def _line(self, line: str) -> None:
        # A progress bar rewrites its line; a terminal shows the last state too.
        shown = line.rstrip("\r").rpartition("\r")[2]
        while shown:
            part, shown = shown[:_LONGEST_LINE], shown[_LONGEST_LINE:]
            self._emit(LogWritten(level=LogLevel.INFO, message=part, stream=self._name, step_key=self._step.key))


class Capture:
    """What is being captured; ``settle`` waits until everything written so far is emitted."""

    def __init__(self, settle: Callable[[], None]) -> None:
        self.settle: Final = settle


class _Tee:
    """A text stream that passes on what is written and hands the lines over; in all else it is the stream itself."""

    def __init__(self, stream: TextIO, lines: _Lines) -> None:
        self._stream = stream
        self._lines = lines
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        with self._lock:
            self._stream.write(text)
            self._lines.add(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def end(self) -> None:
        with self._lock:
            self._lines.end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def captured_text(emit: Emit, step: CurrentStep) -> Iterator[Capture]:
    """Emit what Python code writes to ``sys.stdout`` and ``sys.stderr``."""
    before = sys.stdout, sys.stderr
    tees = _Tee(before[0], _Lines("stdout", emit, step)), _Tee(before[1], _Lines("stderr", emit, step))
    sys.stdout, sys.stderr = (cast("TextIO", tee) for tee in tees)

    def settle() -> None:
        for tee in tees:
            tee.end()

    try:
        yield Capture(settle)
    finally:
        sys.stdout, sys.stderr = before
        settle()


@contextmanager
def captured_descriptors(emit: Emit, step: CurrentStep) -> Iterator[Capture]:
    """Emit what this process and those it starts write to descriptors 1 and 2, with or without Python."""
    with ExitStack() as stack:
        pumps = [
            stack.enter_context(_pumped(1, _Lines("stdout", emit, step))),
            stack.enter_context(_pumped(2, _Lines("stderr", emit, step))),
        ]
        stack.enter_context(_streams_onto(pumps[0].real, pumps[1].real))

        def settle() -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            for pump in pumps:
                pump.settle()

        yield Capture(settle)
        settle()


@contextmanager
def _streams_onto(real_out: int, real_err: int) -> Iterator[None]:
    """Point ``sys.stdout`` and ``sys.stderr`` at the descriptors, and log handlers past them.

    Log lines are captured as such; written into the captured stderr they would come twice.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        stream.flush()
    reals = {id(before[0]): _text(real_out), id(before[1]): _text(real_err)}
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)]
    moved = [(one, one.setStream(reals[id(one.stream)])) for one in handlers if id(one.stream) in reals]
    sys.stdout, sys.stderr = _text(1), _text(2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before
        for handler, stream in moved:
            handler.setStream(stream)


def _text(descriptor: int) -> TextIO:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)


@contextmanager
def _pumped(descriptor: int, lines: _Lines) -> Iterator["_Pump"]:
    real = os.dup(descriptor)
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):  # another system, or over its limit for pipes: the default size has to do
        fcntl.fcntl(writing, _SET_PIPE_SIZE, _PIPE_SIZE)
    os.dup2(writing, descriptor)
    pump = _Pump(_Ends(reading, writing, real), lines)
    pump.start()
    try:
        yield pump
    finally:
        os.dup2(real, descriptor)
        pump.stop()
        os.close(writing)
        os.close(real)


class _Ends(NamedTuple):
    """Where captured bytes come from and go to."""

    reading: int
    writing: int
    """Our own way into the pipe; user code may close or redirect the descriptor that is captured."""
    real: int


class _Pump(threading.Thread):
    """Reads a pipe up to its end mark: passes the bytes on, and hands the lines over."""

    def __init__(self, ends: _Ends, lines: _Lines) -> None:
        super().__init__(name="dagwire-capture", daemon=True)
        self.real: Final = ends.real
        self._ends = ends
        self._lines = lines
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        word = os.urandom(8).hex().encode()
        self._settle_mark: Final = b"\0dagwire-mark-" + word + b"-\0"
        self._end_mark: Final = b"\0dagwire-mark-" + word + b".\0"
        self._settled = threading.Semaphore(0)
        self._forwarding = True
        self._emitting = True

    def settle(self) -> None:
        """Wait until everything written before is passed on and emitted."""
        os.write(self._ends.writing, self._settle_mark)
        self._settled.acquire(timeout=_SYNC_SECONDS)

    def stop(self) -> None:
        """End the thread. Other processes may still hold the pipe, so its end is a mark, not its closing."""
        os.write(self._ends.writing, self._end_mark)
        self.join(_SYNC_SECONDS)

    def run(self) -> None:
        """Pump until the end mark."""
        pending = b""
        while chunk := os.read(self._ends.reading, _CHUNK):
            pending += chunk
            while self._settle_mark in pending:
                before, _, pending = pending.partition(self._settle_mark)
                self._pass_on(before)
                self._end_line()
                self._settled.release()
            if self._end_mark in pending:
                self._pass_on(pending.partition(self._end_mark)[0])
                break
            # A mark may have arrived in part; it begins with a zero byte.
            cut = pending.find(b"\0", max(0, len(pending) - len(self._end_mark)))
            whole, pending = (pending, b"") if cut < 0 else (pending[:cut], pending[cut:])
            self._pass_on(whole)
        self._end_line()
        os.close(self._ends.reading)

    def _end_line(self) -> None:
        if self._emitting:
            with contextlib.suppress(Exception):  # as in _pass_on
                self._lines.end()

    def _pass_on(self, data: bytes) -> None:
        text = self._decoder.decode(data)
        if self._emitting:
            try:
                self._lines.add(text)
            except Exception:  # noqa: BLE001 -- whoever emits next is told; whoever writes must not wait for ever
                self._emitting = False
        rest = memoryview(data)
        while rest and self._forwarding:
            try:
                rest = rest[os.write(self.real, rest) :]
            except OSError:  # nobody reads the real stream any more; the events go on
                self._forwarding = False
