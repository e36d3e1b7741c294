"""The words of the JetStream API: subjects, headers, error codes, and how answers and deliveries are read. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from nats.aio.msg import Msg

from dagwire_shared.bus import Delivery
from dagwire_shared.streams import STREAMS, Stream

API: Final = "$JS.API"

MSG_ID: Final = "Nats-Msg-Id"
EXPECTED_LAST: Final = "Nats-Expected-Last-Subject-Sequence"
BATCH_ID: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"
EPOCH: Final = "dagwire.epoch"
"""A stream's metadata that tells it from an earlier one of the same name."""
STATUS: Final = "Status"
DESCRIPTION: Final = "Description"

NO_RESPONDERS: Final = "503"
NOT_FOUND: Final = "404"

ERR_STORE_FAILED: Final = 10077
"""Also "maximum messages per subject exceeded": only the description tells a refused duplicate from a full stream."""
ERR_SUBJECT_FULL: Final = "maximum messages per subject exceeded"
ERR_WRONG_LAST: Final = frozenset({10071, 10164})
ERR_BATCH_DUPLICATE: Final = 10201
ERR_BATCH_UNSUPPORTED: Final = frozenset({10174, 10199})
ERR_BATCH_INCOMPLETE: Final = frozenset({10176, 10210})
ERR_DUPLICATE_IN_FLIGHT: Final = 10158
ERR_STREAM_NOT_FOUND: Final = 10059
ERR_STREAM_EXISTS: Final = 10058
ERR_NO_PEERS: Final = 10005
ERR_MESSAGE_GONE: Final = frozenset({10037, 10043, 10057})
ERR_CONSUMER_NOT_FOUND: Final = 10014

_RETRYABLE_CODES: Final = frozenset({408, 429, 503})
INTERNAL: Final = 500
_V1_TOKENS: Final = 9
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error that JetStream answered."""

    code: int
    err_code: int
    description: str

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in _RETRYABLE_CODES or self.err_code == ERR_DUPLICATE_IN_FLIGHT

    def __str__(self) -> str:
        return f"{self.description} (error {self.err_code})" if self.err_code else self.description


@dataclass(frozen=True, slots=True)
class Answer:
    """What JetStream answered: an error, or the content."""

    content: Mapping[str, Any]
    error: ApiError | None = None


def read_answer(msg: Msg) -> Answer:
    """Read an answer of the API, or a publish acknowledgement."""
    status = (msg.headers or {}).get(STATUS)
    if status is not None:
        description = (msg.headers or {}).get(DESCRIPTION, status)
        if status == NO_RESPONDERS:
            description = "no responders: the stream is not there, or the server has no JetStream"
        return Answer({}, ApiError(int(status), 0, description))
    content = json.loads(msg.data)
    error = content.get("error")
    if error is None:
        return Answer(content)
    return Answer(content, ApiError(error.get("code", 0), error.get("err_code", 0), error.get("description", "")))


def read_epoch(info: Mapping[str, Any]) -> int:
    """Read a stream's epoch from what ``STREAM.INFO`` answered."""
    noted = (info["config"].get("metadata") or {}).get(EPOCH)
    if noted is not None:
        return int(noted)
    return int(datetime.fromisoformat(info["created"][:19] + "+00:00").timestamp())


class Place(NamedTuple):
    """Where a delivered message stands: the numbers in its reply subject."""

    stream: str
    times: int
    sequence: int
    consumer_sequence: int
    time_ns: int
    pending: int


def read_place(reply: str) -> Place:
    """Read ``$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<times>.<seq>.<consumer seq>.<time>.<pending>``."""
    tokens = reply.split(".")
    at = 2 if len(tokens) == _V1_TOKENS else 4
    stream, _, times, sequence, consumer_sequence, time_ns, pending = tokens[at : at + 7]
    return Place(stream, int(times), int(sequence), int(consumer_sequence), int(time_ns), int(pending))


def read_delivery(msg: Msg, place: Place) -> Delivery:
    """Read a message that a consumer delivered."""
    return Delivery(
        stream=place.stream,
        subject=msg.subject,
        sequence=place.sequence,
        time=_instant(place.time_ns),
        body=msg.data,
        headers=msg.headers or {},
        redelivered=place.times > 1,
    )


def read_direct(msg: Msg) -> Delivery:
    """Read the answer to a direct get."""
    headers = dict(msg.headers or {})
    stamp = headers.pop("Nats-Time-Stamp")
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    time = datetime.fromisoformat(whole).replace(tzinfo=UTC, microsecond=int(fraction.ljust(6, "0")[:6] or 0))
    return Delivery(
        stream=headers.pop("Nats-Stream"),
        subject=headers.pop("Nats-Subject"),
        sequence=int(headers.pop("Nats-Sequence")),
        time=time,
        body=msg.data,
        headers=headers,
    )


def _instant(nanoseconds: int) -> datetime:
    return _BEGINNING + timedelta(microseconds=nanoseconds // 1000)


def nanoseconds(duration: timedelta) -> int:
    """Return a duration as JetStream writes it."""
    return int(duration / timedelta(microseconds=1)) * 1000


def stream_of(subject: str) -> Stream | None:
    """Return the stream that keeps a subject, or None for one that is not of this bus."""
    return next((stream for stream in STREAMS if subject.startswith(stream.subject.partition("*")[0])), None)


def wrong_last_sequence(error: ApiError) -> int | None:
    """Return the sequence that the server holds instead, if the error names it."""
    number = error.description.rpartition(" ")[2]
    return int(number) if number.isdigit() else None
