"""A step worker's first word: asks the run worker for its step. Written without the models, which come later."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from dagwire_shared.bus import Bus
from dagwire_shared.errors import BusUnavailableError, MalformedMessageError
from dagwire_shared.ids import RunId
from dagwire_shared.subjects import StepTalk, step_subject

from dagwire.worker.claim import Claim

log = logging.getLogger(__name__)

_WAIT: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class StepName:
    """Which step a worker was created for, and the word by which it is known again."""

    step_key: str
    attempt: int
    worker: str


class Absence:
    """Tells a run worker that is gone from one that cannot be reached now."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Set it up.

        Args:
            seconds: one that answers nothing for so long, while the bus is there, is gone.
            clock: in seconds.
        """
        self._seconds = seconds
        self._clock = clock
        self._heard = clock()

    def heard(self) -> None:
        """Note that it has answered."""
        self._heard = self._clock()

    def is_certain(self, bus: Bus) -> bool:
        """Return whether it must be gone; asked after a question that nobody answered."""
        if not bus.connected:
            self._heard = self._clock()
        return self._clock() - self._heard > self._seconds


class Approach:
    """A step worker's way to its step."""

    def __init__(self, run_id: RunId, who: StepName, absence: Absence) -> None:
        self._run_id = run_id
        self.who: Final = who
        self.absence: Final = absence
        self.answer = b""
        """The ``Greeting``, once the step is this worker's."""

    @property
    def question(self) -> dict[str, Any]:
        """The ``Hello``, as plain data."""
        return {"step_key": self.who.step_key, "attempt": self.who.attempt, "worker": self.who.worker}

    async def claim(self, bus: Bus) -> Claim:
        """Ask for the step until the run worker answers, and return whose it is.

        Raises:
            MalformedMessageError: the answer is none.
            PermissionDeniedError: the credential does not allow the run's subjects.
        """
        body = json.dumps(self.question).encode()
        while True:
            try:
                self.answer = await bus.signals.ask(step_subject(self._run_id, StepTalk.HELLO), body, wait=_WAIT)
            except BusUnavailableError as error:
                log.warning("the run worker does not answer yet", extra={"run_id": self._run_id, "cause": str(error)})
                if self.absence.is_certain(bus):
                    return Claim.OVER
                continue
            self.absence.heard()
            return _verdict(self.answer)


def _verdict(answer: bytes) -> Claim:
    try:
        greeting: dict[str, Any] = json.loads(answer)
        refusal = greeting["refusal"]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedMessageError(f"the run worker's answer is not readable: {error}") from error
    if refusal is None:
        return Claim.OURS
    log.warning("the step is refused: %s", refusal)
    return Claim.ANOTHERS
