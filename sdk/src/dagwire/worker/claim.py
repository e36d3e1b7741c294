"""Takes a run for this worker, or learns that it must not: decision by the stream, not by the launcher (ADR 0003)."""

import asyncio
import logging
import os
import socket
from datetime import timedelta
from enum import Enum
from typing import Final

from dagwire_shared.bus import Delivery, Streams
from dagwire_shared.envelope import decode, event_message
from dagwire_shared.errors import BusUnavailableError, ConflictError, MalformedMessageError
from dagwire_shared.events import Event, RunDropped, RunLost, RunStarted
from dagwire_shared.ids import RunId
from dagwire_shared.model import utc_now
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import Kind, event_subject

from dagwire.worker.outbox import SOURCE, event_id

log = logging.getLogger(__name__)

_TRY: Final = timedelta(seconds=10)


class Claim(Enum):
    """Whose the run is."""

    OURS = "ours"
    ANOTHERS = "another worker has the run"
    OVER = "the run has ended before this worker took it"


async def claim(streams: Streams, run_id: RunId, *, worker: str, traceparent: str | None) -> Claim:
    """Publish ``RunStarted`` as the first event on the run's ``run`` subject; tried until the bus answers.

    Args:
        streams: the bus.
        run_id: the run.
        worker: a random word of this process's own, by which it knows its claim again.
        traceparent: the trace that the run belongs to.

    Raises:
        PermissionDeniedError: the credential does not allow the run's subjects.
    """
    event = RunStarted(worker=worker, host=socket.gethostname(), pid=os.getpid())
    message = event_message(
        event, id=event_id(run_id, 0), source=SOURCE, subject=run_id, time=utc_now(), traceparent=traceparent
    )
    while True:
        try:
            await streams.publish(message, expected_last=0, deadline=_TRY)
        except ConflictError:
            if not await _holds(streams, run_id, worker):
                return Claim.ANOTHERS
        except BusUnavailableError as error:
            log.warning("run is not taken yet", extra={"run_id": run_id, "cause": str(error)})
            continue
        break
    return await _unless_over(streams, run_id)


async def _holds(streams: Streams, run_id: RunId, worker: str) -> bool:
    """Return whether the last word on the run is this worker's claim."""
    last = await _last(streams, run_id, Kind.RUN)
    return isinstance(last, RunStarted) and last.worker == worker


async def _unless_over(streams: Streams, run_id: RunId) -> Claim:
    """Look for the launcher's last word: a run that was dropped or given up is not begun."""
    last = await _last(streams, run_id, Kind.LAUNCH)
    return Claim.OVER if isinstance(last, RunLost | RunDropped) else Claim.OURS


async def _last(streams: Streams, run_id: RunId, kind: Kind) -> Event | None:
    while True:
        try:
            return _event(await streams.last(EVENTS, event_subject(run_id, kind)))
        except BusUnavailableError as error:
            log.warning("the run's state is not known yet", extra={"run_id": run_id, "cause": str(error)})
            await asyncio.sleep(0)


def _event(delivery: Delivery | None) -> Event | None:
    if delivery is None:
        return None
    try:
        return decode(delivery.body).event
    except MalformedMessageError:
        return None
