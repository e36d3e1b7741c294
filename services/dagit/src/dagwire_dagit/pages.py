"""Pages of runs and events: from query parameters to the store, and back to what is sent."""

from collections.abc import Sequence

from dagwire_shared.events import LogLevel
from dagwire_shared.ids import RunId
from dagwire_shared.subjects import Kind
from fastapi import Response

from dagwire_dagit.cursors import BEGINNING, parse_cursor
from dagwire_dagit.errors import InvalidRequestError, UnknownError
from dagwire_dagit.hub import Hub
from dagwire_dagit.models import ErrorDetail, RunDetail, Runs
from dagwire_dagit.recent import recent_run
from dagwire_dagit.store import EventQuery, RunFilter, Store, StoredEvent

SCHEDULE_TAG = "dagwire/schedule_name"
"""The tag by which the scheduler marks the runs that it asks for."""


def parse_tags(tags: Sequence[str], *, schedule: str | None) -> dict[str, str]:
    """Return the tags that runs must have.

    Raises:
        InvalidRequestError: one is not ``key=value``.
    """
    wanted = {SCHEDULE_TAG: schedule} if schedule is not None else {}
    for tag in tags:
        key, equals, value = tag.partition("=")
        if not equals or not key:
            detail = ErrorDetail(path=["query", "tag"], message=f"{tag[:80]!r} is not key=value")
            raise InvalidRequestError("query.tag: give key=value", details=[detail])
        wanted[key] = value
    return wanted


async def runs_page(store: Store, wanted: RunFilter, *, limit: int, before: str | None) -> Runs:
    """Return a page of runs, newest first."""
    runs = await store.runs(wanted, limit=limit, before=parse_cursor(before) if before is not None else None)
    return Runs(runs=runs, next=runs[-1].cursor if len(runs) == limit else None)


async def run_detail(store: Store, hub: Hub, run_id: RunId) -> RunDetail:
    """Return one run: from the store, or from memory while the store has not heard of it.

    Raises:
        UnknownError: nobody has heard of it yet.
    """
    found = await store.run(run_id)
    if found is None:
        found = recent_run(hub.recent(run_id))
    if found is None:
        raise UnknownError(f"there is no run {run_id}, or it is not recorded yet", code="run_unknown")
    return found


async def events_page(
    store: Store, run_id: RunId, *, kinds: Sequence[Kind], levels: Sequence[LogLevel], after: str | None, limit: int
) -> Response:
    """Return a page of a run's stored events. The envelopes go out as they came in, unparsed."""
    query = EventQuery(
        aggregate=run_id,
        kinds=kinds,
        levels=levels,
        after=parse_cursor(after) if after is not None else BEGINNING,
        limit=limit,
    )
    events = await store.events(query)
    following = f'"{events[-1].cursor}"' if len(events) == limit else "null"
    body = f'{{"events":[{",".join(_event(event) for event in events)}],"next":{following}}}'
    return Response(body, media_type="application/json")


def _event(stored: StoredEvent) -> str:
    return f'{{"cursor":"{stored.cursor}","event":{stored.body}}}'
