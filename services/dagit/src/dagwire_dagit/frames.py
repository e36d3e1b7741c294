"""Server-Sent Events on the wire: how each frame of the feed looks. Pure; each event is encoded once."""

from typing import Final

from pydantic import BaseModel

from dagwire_dagit.cursors import Cursor

OPENING: Final = b"retry: 1000\n\n"
"""Sent first: how many milliseconds a browser waits before it reconnects."""

KEEP_ALIVE: Final = b":\n\n"
"""A comment, so that nobody between here and the browser takes a silent feed for a dead one."""

_BODY: Final = b',"event":'
_END: Final = b"}\n\n"


def event_frame(cursor: Cursor, body: bytes) -> bytes:
    """Return the frame of an event. ``body`` is its envelope: JSON, as it was received."""
    if b"\n" in body or b"\r" in body:
        body = body.replace(b"\r", b" ").replace(b"\n", b" ")  # in JSON only white space between tokens can be these
    place = str(cursor).encode()
    return b'id: %b\nevent: event\ndata: {"cursor":"%b","event":%b}\n\n' % (place, place, body)


def body_of(frame: bytes) -> bytes:
    """Return the envelope that an event's frame carries."""
    return frame[frame.index(_BODY) + len(_BODY) : -len(_END)]


def caught_up_frame(cursor: Cursor) -> bytes:
    """Return the frame that says that history is delivered; it has an id, so that a resumed feed begins here."""
    place = str(cursor).encode()
    return b'id: %b\nevent: caught-up\ndata: {"cursor":"%b"}\n\n' % (place, place)


def hint_frame(name: str, answer: BaseModel) -> bytes:
    """Return the frame of a hint: something changed that is not an event. It has no id."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), answer.model_dump_json().encode())
