"""The users in the NATS server's configuration, and what each may do. Pure data: it grants nothing itself."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dagwire_shared.records import lease_key
from dagwire_shared.streams import CONTROL, DEAD, EVENTS, QUEUE, REQUESTS, STATE_BUCKET, STREAMS, Stream
from dagwire_shared.subjects import KNOWN_QUESTION, ROOT, STORED_SIGNAL, Kind, kind_filter

from dagwire_launcher.credentials import inbox_of
from dagwire_launcher.permissions import Permissions

CALLOUT_SUBJECT: Final = "$SYS.REQ.USER.AUTH"
"""Where the server asks about run workers; only launchers may listen there."""
CALLOUT_GROUP: Final = "dagwire-launcher"

_API: Final = "$JS.API"
_STATE: Final = f"KV_{STATE_BUCKET}"
_KEYS: Final = f"$KV.{STATE_BUCKET}"
_NAMES: Final = (*(stream.name for stream in STREAMS), _STATE)
_REQUEST: Final = f"{ROOT}.request.*"
_CONTROL: Final = f"{ROOT}.control.*"


def _provision() -> list[str]:
    """Look at the streams, and create those that are not there yet: whoever comes first does."""
    return [f"{_API}.STREAM.{verb}.{name}" for verb in ("INFO", "CREATE") for name in _NAMES]


def _align() -> list[str]:
    """Bring a stream's settings in line."""
    return [f"{_API}.STREAM.UPDATE.{name}" for name in _NAMES]


def _follow(name: str, only: str = "") -> list[str]:
    """Read a stream in order by consumers of one's own; ``only``: none that reads anything else."""
    made = f"{_API}.CONSUMER.CREATE.{name}.*.{only}" if only else f"{_API}.CONSUMER.CREATE.{name}.>"
    return [
        made,
        f"{_API}.CONSUMER.MSG.NEXT.{name}.*",
        f"{_API}.CONSUMER.DELETE.{name}.*",
        f"{_API}.STREAM.INFO.{name}",
    ]


def _last(stream: Stream, subject: str = "") -> str:
    """Read the last message on a subject."""
    return f"{_API}.DIRECT.GET.{stream.name}.{subject or stream.subject}"


def _state(*, write: Iterable[str] = (), read: Iterable[str] = (), watch: Iterable[str] = ()) -> list[str]:
    """Write, read and watch keys of the state bucket."""
    return [
        *(f"{_KEYS}.{key}" for key in write),
        *(f"{_API}.DIRECT.GET.{_STATE}.{_KEYS}.{key}" for key in read),
        *(subject for key in watch for subject in _follow(_STATE, f"{_KEYS}.{key}")),
    ]


def _acknowledge(name: str) -> list[str]:
    """Acknowledge what a consumer of a stream delivered, in both forms of the subject."""
    return [f"$JS.ACK.{name}.>", f"$JS.ACK.*.*.{name}.>"]


def _dagit() -> Permissions:
    return Permissions(
        publish=[
            *_provision(),
            _REQUEST,
            _CONTROL,
            _last(REQUESTS),
            *_follow(EVENTS.name),
            *_state(write=["switch.*"], read=["switch.*"], watch=["switch.>"]),
        ],
        subscribe=[STORED_SIGNAL],
    )


def _scheduler() -> Permissions:
    lease = lease_key("scheduler")
    kept = ["cursor.*", "location.*", "scheduler.*", lease]
    return Permissions(
        publish=[
            *_provision(),
            _REQUEST,
            kind_filter(Kind.TICK),
            _last(REQUESTS),
            _last(EVENTS, kind_filter(Kind.TICK)),
            *_state(write=kept, read=[*kept, "switch.*"], watch=["cursor.>", "switch.>", "lease.>"]),
        ],
        subscribe=[],
    )


def _launcher() -> Permissions:
    lease = lease_key("launcher")
    return Permissions(
        publish=[
            *_provision(),
            *_align(),
            kind_filter(Kind.LAUNCH),
            kind_filter(Kind.WORKER),
            QUEUE.subject,
            DEAD.subject,
            KNOWN_QUESTION,
            *_follow(REQUESTS.name),
            *_acknowledge(REQUESTS.name),
            *_follow(QUEUE.name),
            f"{_API}.STREAM.MSG.DELETE.{QUEUE.name}",
            *_follow(CONTROL.name),
            *_follow(EVENTS.name),
            *(_last(stream) for stream in (EVENTS, CONTROL, QUEUE, DEAD)),
            *_state(write=[lease], read=[lease, "location.*"], watch=["location.>", "lease.>"]),
        ],
        subscribe=[f"{CALLOUT_SUBJECT} {CALLOUT_GROUP}"],
        answers=True,
    )


def _eventstore() -> Permissions:
    return Permissions(
        publish=[*_provision(), *_align(), *_follow(EVENTS.name), DEAD.subject, _last(DEAD), STORED_SIGNAL],
        subscribe=[f"{KNOWN_QUESTION} eventstore"],
        answers=True,
    )


def _client() -> Permissions:
    """What people and systems beside Dagwire may do, with any NATS client.

    Consumers on EVENTS alone: what it may write itself (requests, and what becomes of bad ones) it reads without, since
    JetStream lets whoever makes a consumer choose where it delivers, and checks no permission there.
    """
    public = (REQUESTS, EVENTS, CONTROL, DEAD)
    return Permissions(
        publish=[
            _REQUEST,
            _CONTROL,
            f"{_API}.INFO",
            f"{_API}.STREAM.NAMES",
            f"{_API}.STREAM.LIST",
            *(f"{_API}.STREAM.INFO.{name}" for name in _NAMES),
            *(f"{_API}.DIRECT.GET.{stream.name}.>" for stream in public),
            *(f"{_API}.STREAM.MSG.GET.{stream.name}" for stream in public),
            f"{_API}.DIRECT.GET.{_STATE}.>",
            *_follow(EVENTS.name),
            f"{_API}.CONSUMER.CREATE.{EVENTS.name}",
            f"{_API}.CONSUMER.DURABLE.CREATE.{EVENTS.name}.*",
            f"{_API}.CONSUMER.INFO.{EVENTS.name}.*",
            f"$JS.FC.{EVENTS.name}.>",
            *_acknowledge(EVENTS.name),
        ],
        subscribe=[f"{ROOT}.event.>", f"{ROOT}.dead.>", "_INBOX.>"],
    )


SERVICES: Final[Mapping[str, Permissions]] = {
    "dagit": _dagit(),
    "scheduler": _scheduler(),
    "launcher": _launcher(),
    "eventstore": _eventstore(),
}
"""The services, by the names of their users."""

ACCOUNT: Final = "DAGWIRE"
"""The account of these users on the NATS server, which holds the streams."""

CLIENT: Final = "client"
"""The user of whoever requests runs and follows them, with any NATS client."""


def users() -> dict[str, Permissions]:
    """Return every user of the configuration and what it may do. A service has an inbox of its own."""
    return {**{name: _with_inbox(name, one) for name, one in SERVICES.items()}, CLIENT: _client()}


def _with_inbox(name: str, permissions: Permissions) -> Permissions:
    subscribe: Sequence[str] = [*permissions.subscribe, f"{inbox_of(name)}.>"]
    return Permissions(permissions.publish, subscribe, answers=permissions.answers)
