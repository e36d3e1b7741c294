"""Keeps events on disk, in order, while the bus is away and the memory is full. Knows nothing of the bus."""

import json
import secrets
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from dagwire_shared.bus import Message

SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""A segment is deleted when all of it has been read, so that the disk is given back during a long drain."""


class SpoolFullError(Exception):
    """The spool cannot take the event now: its limit is reached, or the disk is full."""


@dataclass(slots=True)
class _Segment:
    path: Path
    writer: IO[bytes] | None
    size: int = 0
    read: int = 0


class Spool:
    """First in, first out, one JSON line per event. What is left of it when the process dies is not sent any more."""

    def __init__(self, directory: Path, *, limit_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._directory = directory
        self._limit = limit_bytes
        self._segment_bytes = segment_bytes
        self._segments: deque[_Segment] = deque()
        self._name = secrets.token_hex(4)
        """Tells its files from those of others: in a pod, every worker's process id is the same."""
        self._made = 0
        self._waiting = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait to be read."""
        return self._waiting

    def append(self, message: Message, *, beyond_limit: bool = False) -> None:
        """Put an event at the end.

        Raises:
            SpoolFullError: there is no room; nothing was written.
        """
        line = json.dumps([message.subject, message.id, message.body.decode()]).encode() + b"\n"
        if self._waiting + len(line) > self._limit and not beyond_limit:
            raise SpoolFullError(f"the spool holds {self._waiting} bytes of at most {self._limit}")
        try:
            segment = self._last()
            assert segment.writer is not None  # noqa: S101 -- the last segment is open
            self._write(segment, segment.writer, line)
        except OSError as error:
            raise SpoolFullError(f"the spool in {self._directory} cannot be written: {error}") from error
        self._waiting += len(line)
        self._count += 1

    def _last(self) -> _Segment:
        if self._segments and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1]
        if self._segments and (writer := self._segments[-1].writer) is not None:
            writer.close()
            self._segments[-1].writer = None
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._made += 1
        path = self._directory / f"{self._name}-{self._made:06d}.jsonl"
        # Unbuffered: a write that fails half-way is cut off at once.
        self._segments.append(_Segment(path, path.open("wb", buffering=0)))
        return self._segments[-1]

    def _write(self, segment: _Segment, writer: IO[bytes], line: bytes) -> None:
        written = writer.write(line)
        if written != len(line):
            writer.truncate(segment.size)
            writer.seek(segment.size)
            raise OSError(f"only {written} of {len(line)} bytes were written")
        segment.size += len(line)

    def take(self, limit: int) -> list[Message]:
        """Remove and return up to ``limit`` events from the front."""
        taken: list[Message] = []
        while self._segments and len(taken) < limit:
            segment = self._segments[0]
            taken += self._read(segment, limit - len(taken))
            if segment.read < segment.size:
                break
            self._drop(segment)
        self._count -= len(taken)
        return taken

    def _read(self, segment: _Segment, limit: int) -> list[Message]:
        found: list[Message] = []
        with segment.path.open("rb") as file:
            file.seek(segment.read)
            while len(found) < limit and segment.read < segment.size:
                line = file.readline()
                subject, message_id, body = json.loads(line)
                found.append(Message(subject, body.encode(), message_id))
                segment.read += len(line)
                self._waiting -= len(line)
        return found

    def _drop(self, segment: _Segment) -> None:
        self._segments.popleft()
        if segment.writer is not None:
            segment.writer.close()
        segment.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete what is left."""
        while self._segments:
            self._drop(self._segments[0])
        self._waiting = self._count = 0
