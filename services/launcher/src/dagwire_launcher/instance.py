"""Gives a launcher process a name that it has again after a restart, and that no other living one has."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


@contextmanager
def instance_name(directory: Path) -> Iterator[str]:
    """Hold the first free name of this machine and directory while the context is open.

    The name is freed by the kernel when the process ends, however it ends: a restarted launcher gets the one it
    had, and may take its lease again at once.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in count():
        lock = os.open(directory / f"launcher-{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        try:
            yield f"{socket.gethostname()}:{directory.resolve()}:{number}"
        finally:
            os.close(lock)
        return
