"""The streams of the bus and their settings, as data. The adapters create what is named here; no I/O."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from dagwire_shared.subjects import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The settings of one stream; the words are JetStream's."""

    name: str
    subject: str
    purpose: str
    max_age: timedelta | None = None
    max_messages_per_subject: int | None = None
    refuse_when_subject_is_full: bool = False
    """With one message per subject: a second one is refused (error 10077) instead of replacing the first."""
    refuse_when_full: bool = False
    """A full stream refuses new messages (commands) instead of forgetting old ones (facts)."""
    duplicate_window: timedelta = timedelta(minutes=2)
    """How long ``Nats-Msg-Id`` filters re-sent messages: a cheap first filter, never the guarantee."""


REQUESTS: Final = Stream(
    name="DAGWIRE_REQUESTS",
    subject=f"{ROOT}.request.*",
    purpose="The public intake: one message per idempotency key, a second one is refused by the server.",
    max_age=timedelta(days=14),
    max_messages_per_subject=1,
    refuse_when_subject_is_full=True,
    refuse_when_full=True,
)
QUEUE: Final = Stream(
    name="DAGWIRE_QUEUE",
    subject=f"{ROOT}.queue.*",
    purpose="What waits to be launched: one message per run, removed when its worker exists.",
    max_messages_per_subject=1,
    refuse_when_subject_is_full=True,
    refuse_when_full=True,
)
EVENTS: Final = Stream(
    name="DAGWIRE_EVENTS",
    subject=f"{ROOT}.event.*.*.*",
    purpose="Every fact, in order. Its sequence is the cursor that history and the live feed share.",
    max_age=timedelta(days=7),
    duplicate_window=timedelta(minutes=10),
)
CONTROL: Final = Stream(
    name="DAGWIRE_CONTROL",
    subject=f"{ROOT}.control.*",
    purpose="Orders to one run; the last one per run counts.",
    max_age=timedelta(days=7),
    max_messages_per_subject=1,
)
DEAD: Final = Stream(
    name="DAGWIRE_DEAD",
    subject=f"{ROOT}.dead.*",
    purpose="Messages that nobody could handle, with the cause.",
    max_age=timedelta(days=30),
)

STREAMS: Final = (REQUESTS, QUEUE, EVENTS, CONTROL, DEAD)

STATE_BUCKET: Final = "dagwire_state"
"""The key-value bucket of switches, cursors, leases and code locations."""
