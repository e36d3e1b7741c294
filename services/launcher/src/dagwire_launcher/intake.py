"""Takes run requests from the stream and admits them: record the run, put it on the queue, acknowledge.

Every replica does this, together. A crash between any two steps is repaired by the redelivery.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from dagwire_shared.bus import Bus, Consumer, Delivery, Message, Subscription
from dagwire_shared.envelope import encode
from dagwire_shared.errors import BusUnavailableError, ConflictError, PermissionDeniedError
from dagwire_shared.events import RequestedBy, RunDropped
from dagwire_shared.ids import RunId
from dagwire_shared.model import utc_now
from dagwire_shared.records import CodeLocation
from dagwire_shared.streams import REQUESTS
from dagwire_shared.subjects import KNOWN_QUESTION, queue_subject

from dagwire_launcher.admission import (
    Admission,
    Next,
    launch_order,
    needs_witness,
    next_step,
    queued,
    read_request,
    unknown_location,
    with_origin,
)
from dagwire_launcher.errors import RequestRefusedError
from dagwire_launcher.facts import Said
from dagwire_launcher.ledger import SOURCE, Ledger
from dagwire_launcher.locations import Locations

log = logging.getLogger(__name__)

CONSUMER: Final = Consumer(stream=REQUESTS, name="launcher", ack_wait=timedelta(seconds=10), max_unacknowledged=1000)

_BATCH: Final = 200
_BATCH_WAIT: Final = timedelta(seconds=30)
_WITNESS_WAIT: Final = timedelta(seconds=2)
_AGAIN_SOON: Final = timedelta(seconds=1)
_AGAIN_LATER: Final = timedelta(seconds=10)

_GIVE_UP: Final = timedelta(hours=1)
"""After this a request on which the launcher itself fails goes to the dead letters."""

_DONE: Final = timedelta(0)


class Intake:
    """Admits requests."""

    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        locations: Locations,
        *,
        patience: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._locations = locations
        self._patience = patience
        self._clock = clock

    async def run(self) -> None:
        """Admit requests without end."""
        async with self._bus.streams.consume(CONSUMER) as subscription:
            while True:
                deliveries = await subscription.batch(_BATCH, wait=_BATCH_WAIT)
                await self.take(subscription, deliveries)

    async def take(self, subscription: Subscription, deliveries: Sequence[Delivery]) -> None:
        """Admit a batch of requests, all at once; what cannot be settled now comes again."""
        waits = await asyncio.gather(*(self._settle(delivery) for delivery in deliveries))
        done = [delivery for delivery, wait in zip(deliveries, waits, strict=True) if wait == _DONE]
        if done:
            try:
                await subscription.acknowledge(done)
            except BusUnavailableError as error:
                log.warning("requests are not acknowledged and come again", extra={"cause": str(error)})
        for delivery, wait in zip(deliveries, waits, strict=True):
            if wait != _DONE:
                await subscription.retry(delivery, after=wait)

    async def _settle(self, delivery: Delivery) -> timedelta:
        """Handle one request, and return after which time it is to come again (zero: never)."""
        try:
            admission = read_request(delivery.subject, delivery.body, now=self._clock())
        except RequestRefusedError as error:
            return await self._bury(delivery, str(error))
        try:
            return await self._admit(admission, delivery)
        except (BusUnavailableError, ConflictError) as error:
            log.warning("request comes again", extra={"run_id": admission.run_id, "cause": str(error)})
            return _AGAIN_SOON
        except PermissionDeniedError:
            raise  # the launcher's credential is wrong, not the request
        except Exception as error:  # one request must not stop the others
            log.exception("request cannot be handled", extra={"run_id": admission.run_id})
            if self._clock() - delivery.time < _GIVE_UP:
                return _AGAIN_LATER
            return await self._bury(delivery, f"the launcher failed on it: {error}")

    async def _admit(self, admission: Admission, delivery: Delivery) -> timedelta:
        run_id = admission.run_id
        now = self._clock()
        last: Said | None = None
        if needs_witness(admission.request, stored=delivery.time, now=now):
            last = await self._ledger.launch(run_id)
            if last is None and (known := await self._known(run_id)) is not False:
                return _DONE if known else _AGAIN_LATER
        location = await self._locations.find(admission.request.location)
        admission = replace(admission, request=with_origin(admission.request, location))
        last = last or await self._record(admission)
        if last is None:
            return _AGAIN_SOON
        step = next_step(last.event, located=location is not None, waited=now - delivery.time, patience=self._patience)
        return await self._proceed(step, admission, last, location)

    async def _known(self, run_id: RunId) -> bool | None:
        """Ask the event store whether the run ever was; None: nobody answers now."""
        try:
            answer = await self._bus.signals.ask(KNOWN_QUESTION, run_id.encode(), wait=_WITNESS_WAIT)
        except BusUnavailableError:
            log.warning("request with an old key waits for the event store", extra={"run_id": run_id})
            return None
        return answer == b"1"

    async def _record(self, admission: Admission) -> Said | None:
        """Record the run unless it is, and return the last word about it; None: not readable yet, ask again."""
        event = queued(admission.request)
        try:
            sequence = await self._ledger.say(admission.run_id, event, after=0, traceparent=admission.traceparent)
        except ConflictError:
            return await self._ledger.launch(admission.run_id)
        log.info("run queued", extra={"run_id": admission.run_id, "job": admission.request.job})
        return Said(event, sequence, self._clock(), admission.traceparent)

    async def _proceed(self, step: Next, admission: Admission, last: Said, location: CodeLocation | None) -> timedelta:
        run_id = admission.run_id
        match step:
            case Next.DONE:
                return _DONE
            case Next.WAIT:
                return _AGAIN_SOON
            case Next.LOSE:
                event = unknown_location(admission.request)
                await self._ledger.say(run_id, event, after=last.sequence, traceparent=admission.traceparent)
                log.warning("run lost", extra={"run_id": run_id, "cause": event.cause})
            case Next.ENQUEUE:
                order = await self._ledger.cancel_order(run_id)
                if order is not None:
                    await self._drop(admission, last, order.requested_by)
                elif location is not None:  # otherwise this is not the step
                    await self._enqueue(admission, location)
        return _DONE

    async def _enqueue(self, admission: Admission, location: CodeLocation) -> None:
        message_id = f"{admission.run_id}:launch"
        body = encode(
            launch_order(admission, location),
            id=message_id,
            source=SOURCE,
            subject=admission.run_id,
            time=self._clock(),
            traceparent=admission.traceparent,
        )
        await self._bus.streams.publish(Message(queue_subject(admission.run_id), body, id=message_id))

    async def _drop(self, admission: Admission, last: Said, requested_by: RequestedBy) -> None:
        """End a run whose cancel order came before its request."""
        event = RunDropped(requested_by=requested_by)
        await self._ledger.say(admission.run_id, event, after=last.sequence, traceparent=admission.traceparent)
        log.info("run dropped", extra={"run_id": admission.run_id})

    async def _bury(self, delivery: Delivery, cause: str) -> timedelta:
        try:
            await self._ledger.bury(delivery, cause)
        except BusUnavailableError:
            return _AGAIN_SOON
        return _DONE
