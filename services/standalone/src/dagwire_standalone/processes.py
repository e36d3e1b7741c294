"""Child processes: started, restarted when they die, and stopped in order. Knows nothing of what they do."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from dagwire_standalone.errors import PartFailedError

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG: Final = 1
_BACKOFF_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS: Final = 30.0
"""A process that lived this long starts its next back-off from the beginning."""
_LOG_LIMIT_BYTES: Final = 10 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One child process: what to run, and where its output goes."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    log_file: Path
    final_exit_codes: frozenset[int] = frozenset({2})
    """Exit codes that a restart cannot mend (2: wrong settings)."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


class Supervisor:
    """Keeps one part running until ``stop``."""

    def __init__(self, part: Part, *, inherit: int, on_line: Callable[[str, bytes], None]) -> None:
        """Prepare ``part``; its processes inherit the descriptor ``inherit`` and hand each line to ``on_line``."""
        self.part = part
        self.restarts = 0
        self._inherit = inherit
        self._on_line = on_line
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id while the part runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start the process, and keep it running from now on."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.part.name}")

    async def ended(self) -> None:
        """Return never while the part can be kept running.

        Raises:
            PartFailedError: it ended in a way that a restart cannot mend.
        """
        if self._keeper is not None:
            await asyncio.shield(self._keeper)

    async def stop(self) -> None:
        """Ask the process to end, wait, and kill it if it does not listen."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.part.stop_signal)
            try:
                await asyncio.wait_for(process.wait(), self.part.stop_seconds)
            except TimeoutError:
                log.warning("part did not stop in time and is killed", extra={"part": self.part.name})
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self.part.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.part.environment},
            cwd=self.part.directory,
            start_new_session=True,  # Ctrl-C reaches this process alone, which stops the parts in order
            pass_fds=(self._inherit,),
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            limit=2**20,
        )

    async def _keep(self) -> None:
        quick_deaths = 0
        while True:
            started = time.monotonic()
            process = self._process
            if process is None or process.stdout is None:
                raise PartFailedError(f"{self.part.name} was not started")  # pragma: no cover
            await self._copy_output(process.stdout)
            code = await process.wait()
            if self._stopping:
                return
            if code in self.part.final_exit_codes:
                raise PartFailedError(f"{self.part.name} cannot run: {last_line(self.part.log_file)}")
            quick_deaths = 0 if time.monotonic() - started > _STEADY_SECONDS else quick_deaths + 1
            pause = _BACKOFF_SECONDS[min(quick_deaths, len(_BACKOFF_SECONDS)) - 1] if quick_deaths else 0.0
            log.warning("part ended and is started again", extra={"part": self.part.name, "exit_code": code})
            await asyncio.sleep(pause)
            self.restarts += 1
            await self._spawn()

    async def _copy_output(self, output: asyncio.StreamReader) -> None:
        with _open_log(self.part.log_file) as file:
            while True:
                try:
                    line = await output.readline()
                except ValueError:  # longer than the reader's limit: its rest follows
                    continue
                if not line:
                    return
                file.write(line)
                file.flush()
                self._on_line(self.part.name, line)


def last_line(log_file: Path) -> str:
    """Return the last thing that a part said, for a message."""
    lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it said nothing (see {log_file})"


def _open_log(path: Path) -> BinaryIO:
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")


def _end_with_parent() -> None:
    """In a new child: have the kernel send SIGTERM when this parent dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
