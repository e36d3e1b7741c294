"""Finds the launch message of a run worker: in a file, or in its environment. Reads it without the models.

A pod has no file of its own, but an environment. A variable holds 128 KiB at most, so a long message is compressed
and goes on in numbered ones.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final

from dagwire_shared.errors import MalformedMessageError

VARIABLE: Final = "DAGWIRE_WORKER_LAUNCH"
"""The environment variable of the message: base64 of zlib; what does not fit goes on in ``…_1``, ``…_2``."""

_LARGEST: Final = 4 * 1024 * 1024
"""Of an unpacked message, in bytes: the bus carries no larger ones."""


def launch_message(file: Path | None, environment: Mapping[str, str]) -> bytes:
    """Return the ``LaunchRun`` message as it stood on the queue.

    Args:
        file: the launch file, if the command line names one.
        environment: where the message is otherwise.

    Raises:
        MalformedMessageError: it is not there, or cannot be unpacked.
    """
    if file is not None:
        try:
            return file.read_bytes()
        except OSError as error:
            raise MalformedMessageError(f"launch file {file} cannot be read: {error.strerror}") from error
    if VARIABLE not in environment:
        raise MalformedMessageError(f"name the launch file: --launch FILE; or set {VARIABLE}; --help lists all options")
    return _unpack("".join(_parts(environment)))


def _parts(environment: Mapping[str, str]) -> Iterator[str]:
    yield environment[VARIABLE]
    for number in count(1):
        part = environment.get(f"{VARIABLE}_{number}")
        if part is None:
            return
        yield part


def _unpack(text: str) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        message = unpacking.decompress(base64.b64decode(text, validate=True), _LARGEST)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise MalformedMessageError(f"{VARIABLE} cannot be unpacked: {error}") from error
    if not unpacking.eof:
        raise MalformedMessageError(f"{VARIABLE} cannot be unpacked: it is cut off, or larger than {_LARGEST} bytes")
    return message
