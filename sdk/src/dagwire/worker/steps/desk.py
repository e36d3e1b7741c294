"""The run worker's side of its step workers: hands out steps, takes in their events, and says who may go on.

It decides; it speaks to no bus. Steps are opened and stopped by the main thread, and their workers answered by the
link's; each step is executed by the first worker that asks for it, and by no other.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from dagwire_shared.envelope import Envelope
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.events import (
    AssetMaterialized,
    EngineNoted,
    Event,
    ExpectationChecked,
    InputLoaded,
    LogWritten,
    OutputProduced,
    StepFailed,
    StepStarted,
    StepSucceeded,
)
from dagwire_shared.model import utc_now

from dagwire.execute.messages import Assignment
from dagwire.execute.progress import Outcome
from dagwire.execute.stepworker import StepRecord
from dagwire.worker.steps.messages import Greeting, Hello, Receipt, Report

_OF_A_STEP: Final = (
    StepStarted,
    StepSucceeded,
    StepFailed,
    InputLoaded,
    OutputProduced,
    AssetMaterialized,
    ExpectationChecked,
)
_OF_ITS_PROCESS: Final = (LogWritten, EngineNoted)
"""These may be about no step: what was written while the code was imported."""

Settle = Callable[[Outcome], None]


class Offer(Protocol):
    """Takes an event of the run; returns False if there is no room now."""

    def __call__(self, event: Event, time: datetime | None = None) -> bool:
        """Take the event, said at this time."""
        ...


@dataclass(slots=True)
class Post:
    """One step that is given away."""

    assignment: Assignment
    attempt: int
    settle: Settle
    record: StepRecord
    worker: str | None = None
    """The word of the worker that has it."""
    taken: int = 0
    done: bool = False
    """Its worker said that it ended, and all its events are taken."""
    closed: str | None = None
    """Why nothing more is taken from its worker."""
    stop: str | None = None
    heard: float = field(default_factory=time.monotonic)
    """When its worker was last heard of, or the launcher last asked about it."""

    @property
    def open(self) -> bool:
        """Whether its end is not known."""
        return not self.done and self.closed is None


class Desk:
    """The steps of one run that step workers execute."""

    def __init__(self, offer: Offer, clock: Callable[[], datetime] = utc_now) -> None:
        self._offer = offer
        self._clock = clock
        self._lock = threading.Lock()
        self._posts: dict[tuple[str, int], Post] = {}

    def give(self, assignment: Assignment, settle: Settle, *, attempt: int = 1) -> Post:
        """Give away a step: the first worker that asks for it has it."""
        post = Post(assignment, attempt, settle, StepRecord(assignment.step_key))
        with self._lock:
            self._posts[assignment.step_key, attempt] = post
        return post

    def find(self, step_key: str, attempt: int) -> Post | None:
        """Return a step that was given away."""
        return self._posts.get((step_key, attempt))

    def open_posts(self) -> Iterator[Post]:
        """Yield the steps whose end is not known."""
        with self._lock:
            posts = list(self._posts.values())
        yield from (post for post in posts if post.open)

    def greet(self, hello: Hello) -> Greeting:
        """Answer a worker that asks for its step."""
        with self._lock:
            post = self._posts.get((hello.step_key, hello.attempt))
            if post is None:
                return Greeting(refusal="the run does not want this step executed")
            if post.worker not in {None, hello.worker}:
                return Greeting(refusal="another worker has the step")
            if not post.open:
                return Greeting(refusal=post.closed or "the step has ended")
            post.worker = hello.worker
            post.heard = time.monotonic()
            produced = {key: sorted(names) for key, names in post.assignment.produced.items()}
            return Greeting(produced=produced)

    def take(self, report: Report) -> Receipt:
        """Take in what a step says: each event once, in order, and none that is not the step's to say."""
        with self._lock:
            post = self._posts.get((report.step_key, report.attempt))
            if post is None or post.worker != report.worker:
                return Receipt(refusal="another worker has the step")
            if post.done:
                return Receipt(taken=post.taken)
            if post.closed is not None:
                return Receipt(taken=post.taken, refusal=post.closed)
            post.heard = time.monotonic()
            try:
                self._take_events(post, report)
            except MalformedMessageError as error:
                return Receipt(taken=post.taken, refusal=str(error))
            self._end_if_done(post, report)
            return Receipt(taken=post.taken, stop=post.stop)

    def _take_events(self, post: Post, report: Report) -> None:
        for number, envelope in enumerate(report.events, report.first):
            if number <= post.taken:
                continue  # sent again, since the answer was lost
            if number > post.taken + 1:
                return  # what comes before it is still on its way
            event = read_event(envelope, post.record)
            # A clock that goes wrong over there must not put events into the future.
            if not self._offer(event, min(envelope.time, self._clock())):
                return
            post.taken = number
            post.record.note(event)

    def _end_if_done(self, post: Post, report: Report) -> None:
        if report.done and post.taken == report.first + len(report.events) - 1 and post.record.told:
            post.done = True
            post.settle(post.record.outcome)

    def ask_to_stop(self, post: Post, reason: str) -> bool:
        """Have a step stopped; return whether it has a worker that could hear that."""
        with self._lock:
            post.stop = reason
            return post.worker is not None

    def close(self, post: Post, reason: str) -> bool:
        """Take nothing more from a step's worker; return False if its end is known already."""
        with self._lock:
            if not post.open:
                return False
            post.closed = reason
            return True


def read_event(envelope: Envelope, record: StepRecord) -> Event:
    """Return an event that a step's worker says.

    Raises:
        MalformedMessageError: it is none that the worker of this step may say.
    """
    event = envelope.event
    if isinstance(event, _OF_A_STEP) and event.step_key == record.key:
        return event
    if isinstance(event, _OF_ITS_PROCESS) and event.step_key in {None, record.key}:
        return event
    raise MalformedMessageError(f"the worker of step {record.key!r} may not say {envelope.type!r}")
