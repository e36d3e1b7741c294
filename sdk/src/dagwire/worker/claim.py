"""Takes a run for this worker, or learns that it must not: decision by the stream, not by the launcher (ADR 0003).

Written without the event classes: the claim is on its way before the models are imported. A test holds its words
against them.
"""

import asyncio
import json
import logging
import os
import socket
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

from dagwire_shared.bus import Message, Streams
from dagwire_shared.errors import BusUnavailableError, ConflictError
from dagwire_shared.ids import RunId
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import Kind, event_subject

log = logging.getLogger(__name__)

SOURCE: Final = "/dagwire/run-worker"
ATTEMPT: Final = 1
STARTED: Final = "dagwire.run.started"
OVER: Final = frozenset({"dagwire.run.lost", "dagwire.run.dropped"})

_TRY: Final = timedelta(seconds=10)


class Claim(Enum):
    """Whose the run is."""

    OURS = "the run is this worker's"
    ANOTHERS = "another worker has the run"
    OVER = "the run had ended before this worker took it"


def event_id(run_id: RunId, number: int) -> str:
    """Return the id of a worker's event: the same after a re-send, so that the stream keeps it once."""
    return f"{run_id}:{ATTEMPT}:{number}"


def claim_message(run_id: RunId, *, worker: str, traceparent: str | None, time: datetime) -> Message:
    """Return the message that takes a run: ``RunStarted``, the worker's event number 0."""
    message_id = event_id(run_id, 0)
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": message_id,
        "source": SOURCE,
        "type": STARTED,
        "subject": run_id,
        "time": time.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
    }
    if traceparent is not None:
        envelope["traceparent"] = traceparent
    envelope["data"] = {"worker": worker, "host": socket.gethostname(), "pid": os.getpid()}
    body = json.dumps(envelope, separators=(",", ":")).encode()
    return Message(event_subject(run_id, Kind.RUN), body, f"{worker}:{message_id}")


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
    message = claim_message(run_id, worker=worker, traceparent=traceparent, time=datetime.now(UTC))
    while True:
        try:
            await streams.publish(message, expected_last=0, deadline=_TRY)
        except ConflictError:
            last = await _last(streams, run_id, Kind.RUN)
            if last.get("type") != STARTED or last["data"].get("worker") != worker:
                return Claim.ANOTHERS
        except BusUnavailableError as error:
            log.warning("run is not taken yet", extra={"run_id": run_id, "cause": str(error)})
            continue
        break
    # A run that was dropped or given up meanwhile is not begun.
    last = await _last(streams, run_id, Kind.LAUNCH)
    return Claim.OVER if last.get("type") in OVER else Claim.OURS


async def _last(streams: Streams, run_id: RunId, kind: Kind) -> dict[str, Any]:
    """Return the last message on one of the run's subjects, or nothing."""
    while True:
        try:
            delivery = await streams.last(EVENTS, event_subject(run_id, kind))
        except BusUnavailableError as error:
            log.warning("the run's state is not known yet", extra={"run_id": run_id, "cause": str(error)})
            await asyncio.sleep(0)
            continue
        found: dict[str, Any] = {} if delivery is None else json.loads(delivery.body)
        return found
