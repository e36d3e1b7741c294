"""A step worker's way of telling: hands its events to the run worker until each is taken. Decides nothing."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from dagwire_shared.bus import Bus, Message
from dagwire_shared.envelope import describe
from dagwire_shared.errors import BusUnavailableError, MalformedMessageError
from dagwire_shared.ids import RunId
from dagwire_shared.subjects import StepTalk, step_subject
from pydantic import ValidationError

from dagwire.worker.codes import RunGoneError
from dagwire.worker.emptying import Emptying
from dagwire.worker.outbox import Outbox, number_of
from dagwire.worker.sizes import LARGEST_EVENT
from dagwire.worker.steps.hello import Absence
from dagwire.worker.steps.messages import MOST_EVENTS, Hello, Receipt, report_body

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 5.0
"""A step that says nothing asks this often whether it may go on."""
_WAIT: Final = timedelta(seconds=5)
_AGAIN_SECONDS: Final = 0.25


class Reporter:
    """Empties a step's outbox into its run worker."""

    def __init__(
        self,
        bus: Bus,
        run_id: RunId,
        who: Hello,
        outbox: Outbox,
        *,
        absence: Absence,
        on_stop: Callable[[str], None],
        ended: Callable[[], bool] = lambda: True,
    ) -> None:
        """Set it up.

        Args:
            bus: the bus.
            run_id: the run.
            who: this worker.
            outbox: what is told.
            absence: tells when the run worker is gone.
            on_stop: is told why the step is to stop, perhaps more than once.
            ended: whether all was told when the outbox is empty; False: the launcher says how the step ended.
        """
        self._bus = bus
        self._subject = step_subject(run_id, StepTalk.REPORT)
        self._stop_subject = step_subject(run_id, StepTalk.STOP)
        self._who = who
        self._absence = absence
        self._on_stop = on_stop
        self._ended = ended
        self._next = 1
        self._emptying = Emptying(outbox, self._deliver, idle_seconds=HEARTBEAT_SECONDS)

    async def run(self) -> None:
        """Report until the outbox is closed and empty, and then that the step is done.

        Raises:
            RunGoneError: the run worker is gone, or takes nothing more from this worker.
        """
        stops = asyncio.create_task(self._hear_stops())
        try:
            await self._emptying.run()
            await self._report([], done=self._ended())
        finally:
            stops.cancel()
            await asyncio.gather(stops, return_exceptions=True)

    async def _hear_stops(self) -> None:
        async for _ in self._bus.signals.listen(self._stop_subject):
            self._emptying.nudge()

    async def _deliver(self, batch: Sequence[Message]) -> None:
        for part in parts(batch) if batch else [()]:
            await self._report(part)

    async def _report(self, messages: Sequence[Message], *, done: bool = False) -> None:
        """Hand over some events, again until the last of them is taken."""
        first = number_of(messages[0].id) if messages else self._next
        while True:
            bodies = [one.body for one in messages if number_of(one.id) >= first]
            receipt = await self._ask(report_body(self._who, first=first, events=bodies, done=done))
            self._next = receipt.taken + 1
            if self._next >= first + len(bodies):
                return
            if self._next <= first:  # nothing was taken: the run worker has no room now
                await asyncio.sleep(_AGAIN_SECONDS)
            first = max(first, self._next)

    async def _ask(self, body: bytes) -> Receipt:
        while True:
            try:
                answer = await self._bus.signals.ask(self._subject, body, wait=_WAIT)
            except BusUnavailableError as error:
                log.warning("events wait for the run worker", extra={"cause": str(error)})
                if self._absence.is_certain(self._bus):
                    raise RunGoneError("the run worker of this step is gone") from error
                continue
            self._absence.heard()
            return self._heed(answer)

    def _heed(self, answer: bytes) -> Receipt:
        try:
            receipt = Receipt.model_validate_json(answer)
        except ValidationError as error:
            raise MalformedMessageError(f"not a Receipt: {describe(error)}") from error
        if receipt.refusal is not None:
            raise RunGoneError(receipt.refusal)
        if receipt.stop is not None:
            self._on_stop(receipt.stop)
        return receipt


def parts(batch: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Cut a batch so that each part fits one message of the bus."""
    part: list[Message] = []
    size = 0
    for message in batch:
        if part and (size + len(message.body) > LARGEST_EVENT or len(part) == MOST_EVENTS):
            yield part
            part, size = [], 0
        part.append(message)
        size += len(message.body)
    if part:
        yield part
