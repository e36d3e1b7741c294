"""Reads ``/proc``: which process is meant by a pid, and whether it lives. Starts and ends nothing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_DEAD: Final = frozenset("ZX")
# Fields of /proc/<pid>/stat after the command's closing parenthesis.
_STATE: Final = 0
_SESSION: Final = 3
_START_TIME: Final = 19


@dataclass(frozen=True, slots=True)
class Process:
    """One process for ever: a pid alone is given to others later, the start time tells them apart."""

    pid: int
    start_time: int
    """In clock ticks since the machine's start."""
    boot: str
    """Which start of the machine."""

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        fields = _stat(self.pid)
        return fields is not None and fields[_STATE] not in _DEAD and self._is(fields)

    @property
    def number_taken(self) -> bool:
        """Whether its pid is another process's by now.

        While anything of its session or process group lives, the kernel does not give the number away.
        """
        fields = _stat(self.pid)
        return self.boot != boot_id() or (fields is not None and not self._is(fields))

    def _is(self, fields: list[str]) -> bool:
        return int(fields[_START_TIME]) == self.start_time and self.boot == boot_id()


def identify(pid: int) -> Process | None:
    """Return the process of this pid, or None; it may have ended and not been waited for."""
    fields = _stat(pid)
    return None if fields is None else Process(pid, int(fields[_START_TIME]), boot_id())


def _stat(pid: int) -> list[str] | None:
    try:
        # The command may hold spaces and parentheses; what follows its last parenthesis does not.
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def boot_id() -> str:
    """Return a word that changes with each start of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def find_leader(text: str) -> Process | None:
    """Return the living session leader that has this text in a word of its command line, or None."""
    wanted = text.encode()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or not any(wanted in word for word in _words(entry)):
            continue
        if _leads_session(int(entry.name)):
            found = identify(int(entry.name))
            if found is not None and found.alive:
                return found
    return None


def _words(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended, or is not ours to read
        return []


def _leads_session(pid: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[_SESSION] == str(pid)


def open_handle(process: Process) -> int | None:
    """Return a pidfd of the process, which no other process can ever take over; None when it has ended.

    Raises:
        OSError: the kernel has no pidfds (older than 5.3), or forbids them.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if process.alive:
        return handle
    os.close(handle)
    return None


def out_of_memory_kills() -> int:
    """Return how many processes the kernel has ended for want of memory since the machine's start."""
    try:
        lines = (_PROC / "vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
