"""What a run worker and its step workers say to each other: frozen values, as JSON. No I/O, nothing pickled."""

from collections.abc import Sequence
from typing import Annotated, Final

from dagwire_shared.envelope import Envelope
from dagwire_shared.events.order import Attempt
from dagwire_shared.ids import Name, StepKey
from dagwire_shared.model import Model
from pydantic import Field
from pydantic_core import to_json

Word = Annotated[str, Field(min_length=16, max_length=64, pattern=r"^[0-9a-f]+$")]
"""A random word of a step worker's own, by which it is known again."""

MOST_EVENTS: Final = 500
"""How many events one report holds."""


class Hello(Model):
    """A step worker asks for its assignment. Asked again under the same word, the answer is the same."""

    step_key: StepKey
    attempt: Attempt
    worker: Word


class Greeting(Model):
    """What the step worker is to do: execute its step, unless that is refused."""

    refusal: str | None = None
    """Why this worker may not execute the step; None: it is to."""
    produced: dict[StepKey, list[Name]] = Field(default_factory=dict)
    """The outputs that exist, by step."""


class Report(Model):
    """Events of a step, numbered without a gap, in order; without any it asks whether to go on."""

    step_key: StepKey
    attempt: Attempt
    worker: Word
    first: int = Field(ge=1)
    """The number of the first event; the next one if there is none."""
    events: list[Envelope] = Field(default_factory=list, max_length=MOST_EVENTS)
    done: bool = False
    """Whether nothing follows: the step has ended."""


class Receipt(Model):
    """What the run worker has of a step, and what the step is to do."""

    taken: int = 0
    """The number of the last event that is safe with the run worker; those before it are, too."""
    stop: str | None = None
    """Why the step is to end; None: it may go on."""
    refusal: str | None = None
    """Why nothing more is taken from this worker; None: it is heard."""


def report_body(who: Hello, *, first: int, events: Sequence[bytes], done: bool = False) -> bytes:
    """Return a report on the wire; the events stay as they are."""
    head = to_json({**who.model_dump(), "first": first, "done": done})
    return b'%s,"events":[%s]}' % (head[:-1], b",".join(events))
