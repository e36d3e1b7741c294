"""Hears the order to cancel the run: by subscription, and by looking, should a notification be lost."""

import asyncio
import logging
from collections.abc import Callable
from itertools import chain, repeat
from typing import Final

from dagwire_shared.bus import Bus
from dagwire_shared.commands import CancelRun
from dagwire_shared.envelope import decode
from dagwire_shared.errors import BusUnavailableError, MalformedMessageError
from dagwire_shared.ids import RunId
from dagwire_shared.streams import CONTROL
from dagwire_shared.subjects import control_subject

log = logging.getLogger(__name__)

_FIRST_LOOKS_SECONDS: Final = (1.0,)
"""The second look comes soon: the subscription may have begun after the first."""
_LOOK_SECONDS: Final = 15.0


class Hearing:
    """Waits for the order to cancel one run."""

    def __init__(self, bus: Bus, run_id: RunId, on_cancel: Callable[[str], None]) -> None:
        self._bus = bus
        self._run_id = run_id
        self._on_cancel = on_cancel
        self._heard = False

    async def run(self) -> None:
        """Call ``on_cancel`` with the reason, once, when the order comes or was there before; without end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._look())

    async def _listen(self) -> None:
        async for subject, body in self._bus.signals.listen(control_subject(self._run_id)):
            self._hear(subject, body)

    async def _look(self) -> None:
        subject = control_subject(self._run_id)
        for pause in chain(_FIRST_LOOKS_SECONDS, repeat(_LOOK_SECONDS)):
            try:
                last = await self._bus.streams.last(CONTROL, subject)
            except BusUnavailableError:
                continue
            if last is not None:
                self._hear(subject, last.body)
            await asyncio.sleep(pause)

    def _hear(self, subject: str, body: bytes) -> None:
        try:
            order = decode(body).command
        except MalformedMessageError as error:
            log.warning("order is not readable", extra={"subject": subject, "cause": str(error)})
            return
        if isinstance(order, CancelRun) and order.run_id == self._run_id and not self._heard:
            self._heard = True
            by = order.requested_by
            self._on_cancel(f"Canceled by {by.kind}" + (f" {by.name}." if by.name else "."))
