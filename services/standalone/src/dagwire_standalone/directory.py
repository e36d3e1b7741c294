"""The data directory of one Dagwire: where each part keeps its things, who uses it, and its secrets."""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dagwire_standalone.errors import DirectoryInUseError, StandaloneError

_LOCK_WAIT_SECONDS = 10.0
"""How long a start waits for the processes of an instance that was killed to end."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Paths below the data directory."""

    root: Path

    @property
    def nats(self) -> Path:
        """JetStream's store."""
        return self.root / "nats"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data."""
        return self.root / "postgres"

    @property
    def runs(self) -> Path:
        """One folder per run: its launch message and its worker's output."""
        return self.root / "runs"

    @property
    def storage(self) -> Path:
        """What the file-system IO manager keeps."""
        return self.root / "storage"

    @property
    def logs(self) -> Path:
        """One log file per part."""
        return self.root / "logs"

    @property
    def workspace(self) -> Path:
        """The workspace file that Dagit and the scheduler read."""
        return self.root / "workspace.yaml"

    @property
    def is_new(self) -> bool:
        """Whether no instance has used the directory before."""
        return not self.nats.exists()

    def create(self) -> None:
        """Make the directory and its parts, for this user alone.

        Raises:
            StandaloneError: it cannot be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for part in (self.runs, self.storage, self.logs):
                part.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StandaloneError(
                f"The data directory {self.root} cannot be used ({error.strerror}): give another with --directory."
            ) from error

    def adopt_streams(self, account: str) -> None:
        """Keep the streams of an instance from before there were accounts: they stood in the server's global one."""
        before, now = self.nats / "jetstream" / "$G", self.nats / "jetstream" / account
        if before.is_dir() and not now.exists():
            before.rename(now)

    def secret(self, name: str) -> str:
        """Return the secret of this name, made at its first use."""
        path = self._secrets / name
        if not path.exists():
            _write_private(path, secrets.token_urlsafe(24))
        return path.read_text(encoding="utf-8")

    def private(self, name: str) -> Path:
        """Return the path of a file that only this user may read."""
        return self._secrets / name

    def keep_private(self, name: str, text: str) -> Path:
        """Write a file that only this user may read, and return its path."""
        _write_private(self.private(name), text)
        return self.private(name)

    @property
    def _secrets(self) -> Path:
        path = self.root / "secrets"
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the directory; yields a file descriptor which, inherited by children, keeps it held until they end.

        Raises:
            DirectoryInUseError: another instance holds it.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _acquire(descriptor, self.root)
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid()}).encode(), 0)
            os.set_inheritable(descriptor, True)
            yield descriptor
        finally:
            os.close(descriptor)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _acquire(descriptor: int, root: Path) -> None:
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            if _alive(holder) or time.monotonic() > deadline:
                raise DirectoryInUseError(
                    f"The data directory {root} is in use by another `dagwire up` (process {holder or 'unknown'}): "
                    f"stop that one, or give this one its own with --directory."
                ) from None
            time.sleep(0.1)  # its owner is gone; its children are about to follow
        else:
            return


def _holder(descriptor: int) -> int | None:
    try:
        pid = json.loads(os.pread(descriptor, 100, 0)).get("pid")
    except ValueError:
        return None
    return pid if isinstance(pid, int) else None


def _alive(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()
