"""A run as the recent events tell it: what Dagit answers while the store has not caught up. Pure.

It knows the run's status and times; steps and configs beyond the request are the store's business.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dagwire_shared.envelope import Envelope, decode
from dagwire_shared.events import RunQueued
from dagwire_shared.ids import RunId

from dagwire_dagit.entries import Entry
from dagwire_dagit.models import RunDetail, RunStatus
from dagwire_dagit.ring import LIFE

_STATUSES: Final[Mapping[str, tuple[RunStatus, str | None]]] = {
    "dagwire.run.launched": (RunStatus.STARTING, "launched_at"),
    "dagwire.run.canceling": (RunStatus.CANCELING, None),
    "dagwire.run.started": (RunStatus.STARTED, "started_at"),
    "dagwire.run.succeeded": (RunStatus.SUCCESS, "ended_at"),
    "dagwire.run.failed": (RunStatus.FAILURE, "ended_at"),
    "dagwire.run.lost": (RunStatus.FAILURE, "ended_at"),
    "dagwire.run.canceled": (RunStatus.CANCELED, "ended_at"),
    "dagwire.run.dropped": (RunStatus.CANCELED, "ended_at"),
}
"""What each event makes of a run, and which time it tells. The first that ends the run is the last that counts."""


def recent_run(entries: Sequence[Entry]) -> RunDetail | None:
    """Return a run from all its events so far; None if there are none."""
    envelopes = [decode(entry.body) for entry in entries if entry.kind in LIFE]
    if not envelopes:
        return None
    queued = envelopes[0].event
    if not isinstance(queued, RunQueued):
        return None
    first = envelopes[0]
    return RunDetail(
        run_id=RunId(first.subject),
        **queued.model_dump(exclude={"priority"}),
        queued_at=first.time,
        cursor=str(entries[0].cursor),
        **_progress(envelopes[1:]),
        resolved_config=None,
        executor=None,
        steps=[],
    )


def _progress(envelopes: Sequence[Envelope]) -> dict[str, Any]:
    known: dict[str, Any] = dict.fromkeys(("launched_at", "started_at", "ended_at", "cause", "message", "error"))
    known["status"] = RunStatus.QUEUED
    for envelope in envelopes:
        if envelope.type not in _STATUSES or known["ended_at"] is not None:
            continue
        status, time = _STATUSES[envelope.type]
        if not (status is RunStatus.STARTED and known["status"] is RunStatus.CANCELING):
            known["status"] = status
        if time is not None:
            known[time] = envelope.time
        if time == "ended_at":
            known |= {name: envelope.data.get(name) for name in ("cause", "message", "error")}
    return known
