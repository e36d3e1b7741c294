"""A worker's directory on this machine: its launch message, its identity and output. Starts no process."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.ids import RunId, check_run_id

from dagwire_launcher.procfs import Process

_LOCK_SECONDS: Final = 5.0
_STEPS: Final = "steps"
TAIL_BYTES: Final = 16 * 1024
"""How much of a worker's output is told when it is lost."""


@dataclass(frozen=True, slots=True)
class Record:
    """Which process a run was given."""

    process: Process
    created: datetime
    out_of_memory_kills: int
    """The machine's count when the worker was created."""


class WorkerDirectory:
    """The directory of one worker; only the owner may look inside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.launch_file = self.path / "launch.json"
        self.output_file = self.path / "output.log"
        self._worker_file = self.path / "worker.json"
        self._released = self.path / "released"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the directory if need be, and keep other launchers out of it. The lock ends with the process.

        Raises:
            BlockingIOError: another launcher has been holding it for long.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _lock(lock)
            yield
        finally:
            os.close(lock)

    @property
    def record(self) -> Record | None:
        """The worker that was created, or None."""
        try:
            value = json.loads(self._worker_file.read_bytes())
            return Record(
                process=Process(**value["process"]),
                created=datetime.fromisoformat(value["created"]),
                out_of_memory_kills=value["out_of_memory_kills"],
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # Empty after a power cut: as good as none, and the machine's processes are gone with it.
            return None

    def write_record(self, record: Record) -> None:
        """Note which process was created."""
        value = {
            "process": asdict(record.process),
            "created": record.created.astimezone(UTC).isoformat(),
            "out_of_memory_kills": record.out_of_memory_kills,
        }
        _write(self._worker_file, json.dumps(value).encode())

    def write_launch(self, message: bytes) -> None:
        """Put down what the worker is given."""
        _write(self.launch_file, message)

    def trim_output(self, limit: int) -> None:
        """Cut the output down to its last lines if it is longer than ``limit`` bytes.

        What the worker writes during the cut may be lost; the run's events are the record, this is a last resort.
        """
        try:
            if self.output_file.stat().st_size <= limit:
                return
            tail = self._tail(min(TAIL_BYTES, limit))
            with self.output_file.open("r+b") as file:
                file.truncate(0)
            with self.output_file.open("ab") as file:
                file.write(tail)
        except FileNotFoundError:
            return

    @property
    def output(self) -> str:
        """The last lines of the worker's output."""
        try:
            return self._tail(TAIL_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _tail(self, limit: int) -> bytes:
        with self.output_file.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            tail = file.read(limit)
        return tail if size <= limit else tail.partition(b"\n")[2] or tail

    def release(self) -> None:
        """Note that the worker's end is settled."""
        if self.path.is_dir():
            self._released.touch()

    @property
    def released(self) -> datetime | None:
        """When the worker's end was settled, or None."""
        try:
            return datetime.fromtimestamp(self._released.stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def remove(self) -> None:
        """Delete the directory with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


class RunDirectory(WorkerDirectory):
    """``<directory>/<run id>``: the directory of a run's worker, with those of its steps' workers below ``steps``."""

    def __init__(self, base: Path, run_id: RunId) -> None:
        super().__init__(base / check_run_id(run_id))
        self.run_id = run_id

    def step(self, worker: str) -> WorkerDirectory:
        """Return the directory of the worker of one of its steps."""
        return WorkerDirectory(self.path / _STEPS / worker)

    @property
    def steps(self) -> dict[str, WorkerDirectory]:
        """The directories of its steps' workers, by the worker's name."""
        return {name: self.step(name) for name in _directories(self.path / _STEPS)}


def _lock(file: int) -> None:
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)  # not for ever: its holder may be frozen
        else:
            return


def run_directories(base: Path) -> list[RunDirectory]:
    """Return every run directory below ``base``; what is not named like one is left alone."""
    return [RunDirectory(base, RunId(name)) for name in _directories(base) if _is_run_id(name)]


def _directories(base: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(base) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _is_run_id(name: str) -> bool:
    try:
        check_run_id(name)
    except InvalidIdentifierError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)
