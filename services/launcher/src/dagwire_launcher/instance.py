"""Gives a launcher process a name that it has again after a restart, and that no other living one has."""

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from dagwire_launcher.errors import DirectoryError

_TOKEN_BYTES: Final = 8


@contextmanager
def instance_name(directory: Path) -> Iterator[str]:
    """Hold the first free name of this directory while the context is open.

    The name is freed by the kernel when the process ends, however it ends: a restarted launcher gets the one it
    had, and may take its lease again at once. It is this machine's name and a token that is kept in the
    directory: pods of one node can have the same host name and the same path.

    Raises:
        DirectoryError: the directory cannot be made or written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _first_free(directory)
    except OSError as error:
        raise DirectoryError(
            f"the directory {directory} cannot be used: {(error.strerror or str(error)).lower()}; set "
            "DAGWIRE_LAUNCHER_DIRECTORY to one that the launcher may write"
        ) from error
    try:
        yield f"{socket.gethostname()}:{_token(lock)}"
    finally:
        os.close(lock)


def _first_free(directory: Path) -> int:
    for number in count():
        lock = os.open(directory / f"launcher-{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return lock
    raise AssertionError("count() has no end")


def _token(lock: int) -> str:
    """Return what the lock's file holds, and write it first if that is not whole."""
    length = 2 * _TOKEN_BYTES
    token = os.pread(lock, length, 0).decode("ascii", "replace")
    if len(token) != length:
        token = secrets.token_hex(_TOKEN_BYTES)
        os.pwrite(lock, token.encode(), 0)
    return token
