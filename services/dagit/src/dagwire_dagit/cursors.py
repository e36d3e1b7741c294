"""Cursors: a place in the sequence of all events, that history and the live feed share. Opaque to clients; no I/O."""

import re
from typing import Annotated, Final, NamedTuple

from dagwire_shared.errors import InvalidIdentifierError
from pydantic import AfterValidator

_CURSOR: Final = re.compile(r"([0-9]{1,12})-([0-9]{1,19})")
_LARGEST: Final = 2**63 - 1


class Cursor(NamedTuple):
    """The place of one event. Cursors compare in the order of the events, over rebuilds of the stream."""

    epoch: int
    sequence: int

    def __str__(self) -> str:
        """Return the text that clients see."""
        return f"{self.epoch}-{self.sequence}"


BEGINNING: Final = Cursor(0, 0)
"""Before the first event."""

END: Final = Cursor(_LARGEST, _LARGEST)
"""After every event."""


def parse_cursor(text: str) -> Cursor:
    """Return the cursor that a client sent back.

    Raises:
        InvalidIdentifierError: it is not one that Dagit made.
    """
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise InvalidIdentifierError(f"{text[:80]!r} is not a cursor: send one back as Dagit gave it")
    epoch, sequence = int(match[1]), int(match[2])
    if sequence > _LARGEST:
        raise InvalidIdentifierError(f"{text[:80]!r} is not a cursor: send one back as Dagit gave it")
    return Cursor(epoch, sequence)


def _check(text: str) -> str:
    parse_cursor(text)
    return text


CursorText = Annotated[str, AfterValidator(_check)]
"""A query parameter that holds a cursor."""
