"""Follows the orders to runs and carries out cancellations: the acting launcher's work.

A worker hears its order by itself; what is done here is what the worker cannot do: end a run that has none, say
that the order was taken, and set the time after which the worker is ended.
"""

import asyncio
import logging
from typing import Final

from dagwire_shared.bus import Streams
from dagwire_shared.commands import CancelRun
from dagwire_shared.errors import BusUnavailableError, ConflictError
from dagwire_shared.events import RunCanceling, RunDropped, RunLaunched, RunQueued
from dagwire_shared.streams import CONTROL, QUEUE
from dagwire_shared.subjects import queue_subject

from dagwire_launcher.ledger import Ledger, read_cancel
from dagwire_launcher.locks import RunLocks
from dagwire_launcher.watch import Watch

log = logging.getLogger(__name__)

_AT_ONCE: Final = 32
_AGAIN_SECONDS: Final = 1.0
_CONFLICT_SECONDS: Final = 0.05


class Orders:
    """Carries out cancel orders."""

    def __init__(self, streams: Streams, ledger: Ledger, locks: RunLocks) -> None:
        self._streams = streams
        self._ledger = ledger
        self._locks = locks

    async def run(self, watch: Watch) -> None:
        """Carry out orders without end. All that are kept are looked at again after each start; that is harmless."""
        gate = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            async for batch in self._streams.follow(CONTROL):
                for delivery in batch.deliveries:
                    order = read_cancel(delivery)
                    if order is None:
                        log.warning("order is not readable", extra={"subject": delivery.subject})
                        continue
                    await gate.acquire()
                    task = group.create_task(self._carry_out(order, watch))
                    task.add_done_callback(lambda _: gate.release())

    async def _carry_out(self, order: CancelRun, watch: Watch) -> None:
        while True:
            try:
                async with self._locks.holding(order.run_id):
                    await self._cancel(order, watch)
            except ConflictError:
                await asyncio.sleep(_CONFLICT_SECONDS)
                continue
            except BusUnavailableError as error:
                log.warning("order is carried out later", extra={"run_id": order.run_id, "cause": str(error)})
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            return

    async def _cancel(self, order: CancelRun, watch: Watch) -> None:
        facts = await self._ledger.facts(order.run_id)
        if facts.launch is None or facts.ended:
            # Without a run the order waits for it: admission and launch ask for it.
            return
        event: RunDropped | RunCanceling
        match facts.launch.event:
            case RunQueued():
                event = RunDropped(requested_by=order.requested_by)
            case RunLaunched():
                event = RunCanceling(requested_by=order.requested_by)
            case _:
                return
        await self._ledger.say(order.run_id, event, after=facts.launch_sequence, traceparent=facts.traceparent)
        log.info("run canceled", extra={"run_id": order.run_id, "event": event.TYPE})
        watch.nudge(order.run_id)
        if isinstance(event, RunDropped):
            await self._leave_queue(order)

    async def _leave_queue(self, order: CancelRun) -> None:
        waiting = await self._streams.last(QUEUE, queue_subject(order.run_id))
        if waiting is not None:
            await self._streams.remove(QUEUE, waiting.sequence)
