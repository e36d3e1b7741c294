"""The CloudEvents 1.0 envelope, structured JSON: how events and commands look on the wire.

The envelope is read first and the payload on demand, so a type that this version does not know can be
stored and shown without being understood.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from dagwire_shared.bus import Message
from dagwire_shared.commands import COMMAND_TYPES, Command
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.events import EVENT_TYPES, Event
from dagwire_shared.model import Model, Utc
from dagwire_shared.subjects import event_subject

CONTENT_TYPE: Final = "application/cloudevents+json"

_Known = TypeVar("_Known", bound=Model)


class Envelope(BaseModel, frozen=True, extra="allow"):
    """The attributes of one message. ``data`` stays as it came."""

    specversion: str = "1.0"
    id: str
    """Unique within ``source``: ``<run id>:<attempt>:<n>`` from a worker. The ``Nats-Msg-Id`` ends in it."""
    source: str
    """Who says it: ``/dagwire/launcher``, ``/dagwire/run-worker`` …"""
    type: str
    subject: str
    """The run's or the schedule's id."""
    time: Utc
    datacontenttype: str = "application/json"
    traceparent: str | None = None
    """The W3C trace context, carried from the request to its last event."""
    data: Any = None

    @property
    def event(self) -> Event | None:
        """The payload as an event, or None for a type that this version does not know.

        Raises:
            MalformedMessageError: the payload is not what its type says.
        """
        known = EVENT_TYPES.get(self.type)
        return None if known is None else _payload(self, known)

    @property
    def command(self) -> Command:
        """The payload as a command.

        Raises:
            MalformedMessageError: the type is no command, or the payload is not what its type says.
        """
        known = COMMAND_TYPES.get(self.type)
        if known is None:
            raise MalformedMessageError(
                f"type {self.type!r} is not a command; known are {', '.join(sorted(COMMAND_TYPES))}"
            )
        return _payload(self, known)


def _payload(envelope: Envelope, model: type[_Known]) -> _Known:
    try:
        return model.model_validate(envelope.data)
    except ValidationError as error:
        raise MalformedMessageError(f"data of {envelope.type} {envelope.id!r}: {describe(error)}") from error


_ENVELOPE: Final = TypeAdapter(Envelope)


def encode(
    payload: Event | Command,
    *,
    id: str,  # noqa: A002 -- the CloudEvents attribute's name
    source: str,
    subject: str,
    time: datetime,
    traceparent: str | None = None,
) -> bytes:
    """Return the wire form of an event or a command about the run or schedule ``subject``."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": payload.TYPE,
        "subject": subject,
        "time": time,
        "datacontenttype": "application/json",
    }
    if traceparent is not None:
        attributes["traceparent"] = traceparent
    attributes["data"] = payload
    return to_json(attributes, by_alias=True)


def event_message(
    event: Event,
    *,
    id: str,  # noqa: A002 -- the CloudEvents attribute's name
    source: str,
    subject: str,
    time: datetime,
    traceparent: str | None = None,
    word: str = "",
) -> Message:
    """Return the message that publishes an event about the run or schedule ``subject``.

    ``word``: one of the sender's own that nobody can guess, to stand before the message's id. The server takes a
    message for known by its id, whoever sent the first: a run could use up an id of another's that it can guess.
    """
    body = encode(event, id=id, source=source, subject=subject, time=time, traceparent=traceparent)
    return Message(subject=event_subject(subject, event.KIND), body=body, id=f"{word}:{id}" if word else id)


def decode(body: bytes) -> Envelope:
    """Read the envelope of a message; the payload stays raw.

    Raises:
        MalformedMessageError: the bytes are not a CloudEvent in structured JSON form.
    """
    try:
        return _ENVELOPE.validate_python(_loads(body))
    except ValidationError as error:
        raise MalformedMessageError(f"not a CloudEvents 1.0 envelope: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """Return what is wrong and where, on one line and without the refused value (it may be a secret)."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'it'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _loads(body: bytes) -> Mapping[str, Any]:
    try:
        value = from_json(body)
    except ValueError as error:
        raise MalformedMessageError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedMessageError(f"not a JSON object but {type(value).__name__}")
    return value


def compact(value: Mapping[str, Any]) -> str:
    """Return canonical JSON: sorted keys, no spaces. For hashes and comparisons."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
