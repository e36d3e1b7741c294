"""Builders and doubles for Dagit's tests: events, a history that lags at will, code locations without servers."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dagwire_dagit.cursors import BEGINNING, Cursor
from dagwire_dagit.errors import UnavailableError
from dagwire_dagit.models import Asset, Run, RunDetail, Tick
from dagwire_dagit.ring import LIFE
from dagwire_dagit.store import EventQuery, Progress, RunFilter, StoredEvent
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.bus import Bus, Message
from dagwire_shared.envelope import event_message
from dagwire_shared.events import Event, LogLevel, LogWritten, RequestedBy, RunQueued
from dagwire_shared.ids import RunId, ScheduleId, run_id_for
from dagwire_shared.locations import Location, NotFoundError
from dagwire_shared.locations.state import Status
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import SHARDS, STORED_SIGNAL

AT = datetime(2026, 11, 1, 12, 30, 15, tzinfo=UTC)


def a_run(number: int = 0) -> RunId:
    """The id of a run that the tests made up."""
    return run_id_for(f"test-{number}")


def queued(run_id: RunId) -> Message:
    """A run's first event."""
    event = RunQueued(
        key="k",
        location="weather",
        repository="weather",
        job="report",
        requested_by=RequestedBy(kind="ui"),
        requested_at=AT,
    )
    return an_event(run_id, event, number="queued")


def line(run_id: RunId, number: int) -> Message:
    """A log line of a run."""
    return an_event(run_id, LogWritten(level=LogLevel.INFO, message=f"line {number}"), number=f"1:{number}")


def an_event(aggregate: str, event: Event, *, number: str) -> Message:
    """Any event."""
    return event_message(event, id=f"{aggregate}:{number}", source="/test", subject=aggregate, time=AT)


def read_frames(text: bytes) -> list[tuple[str, str | None, Any]]:
    """The frames of a feed: name, id and data; comments and what is no frame left out."""
    frames = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in fields:
            frames.append((fields.get("event", "message"), fields.get("id"), json.loads(fields["data"])))
    return frames


class LaggingStore:
    """A history that holds of a memory bus's events what the test let it store. Implements ``store.Store``."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._log = bus.streams._broker.logs[EVENTS.name]
        self.through = dict.fromkeys(SHARDS, 0)
        """Per shard: the sequence through which events are stored."""
        self.known: dict[str, RunDetail] = {}
        self.shown_ticks: dict[str, list[Tick]] = {}
        self.away = False
        self.pages = 0

    async def advance(self, sequence: int, shards: Iterable[str] = SHARDS) -> None:
        """Store what there is up to a sequence, as the event store does: progress to the newest message read."""
        for shard in shards:
            self.through[shard] = max(self.through[shard], min(sequence, self._log.last_sequence))
        await self._bus.signals.notify(STORED_SIGNAL)

    def _check(self) -> None:
        if self.away:
            raise UnavailableError("away", code="database_unavailable")

    async def events(self, wanted: EventQuery) -> list[StoredEvent]:
        self._check()
        self.pages += 1
        found = [StoredEvent(cursor, body) for cursor, body in self._stored(wanted) if wanted.after < cursor]
        return [one for one in found if one.cursor <= wanted.through][: wanted.limit]

    def _stored(self, wanted: EventQuery) -> Iterator[tuple[Cursor, str]]:
        for delivery in self._log.messages.values():
            _, _, _, shard, aggregate, kind = delivery.subject.split(".")
            lane = kind in LIFE if wanted.aggregate is None else aggregate == wanted.aggregate
            if lane and delivery.sequence <= self.through[shard] and (not wanted.kinds or kind in wanted.kinds):
                yield Cursor(self._log.epoch, delivery.sequence), delivery.body.decode()

    async def progress(self) -> Progress:
        self._check()
        epoch = self._log.epoch
        return {shard: Cursor(epoch, through) if through else BEGINNING for shard, through in self.through.items()}

    async def runs(self, wanted: RunFilter, *, limit: int, before: Cursor | None) -> list[Run]:
        self._check()
        return list(self.known.values())[:limit]

    async def run(self, run_id: RunId) -> RunDetail | None:
        self._check()
        return self.known.get(run_id)

    async def last_ticks(self, schedules: Sequence[ScheduleId]) -> Mapping[ScheduleId, Tick]:
        self._check()
        return {one: self.shown_ticks[one][0] for one in schedules if one in self.shown_ticks}

    async def ticks(self, schedule: ScheduleId, *, limit: int, before: datetime | None) -> list[Tick]:
        self._check()
        return self.shown_ticks.get(schedule, [])[:limit]

    async def assets(self, *, limit: int) -> list[Asset]:
        self._check()
        return []

    async def reachable(self) -> bool:
        return not self.away


SCHEDULE = pb.Schedule(
    name="daily",
    description="Every morning.",
    job="report",
    cron_schedules=["0 6 * * *"],
    execution_timezone="Europe/Berlin",
    preset="small",
)
JOB = pb.Job(
    name="report",
    description="Makes the report.",
    tags={"team": "climate"},
    nodes=[
        pb.Node(
            name="load",
            definition="load",
            outputs=[pb.Output(name="result", type="DataFrame", required=True)],
            config_schema_json='{"type": "object"}',
            container_config_json='{"resources": {"limits": {"memory": "1Gi"}}}',
        ),
        pb.Node(
            name="mean",
            definition="mean",
            inputs=[pb.Input(name="table", type="DataFrame", upstream=[pb.OutputRef(node="load", output="result")])],
        ),
    ],
    presets=[
        pb.Preset(name="small", run_config_json='{"ops": {"load": {"config": {"limit": 10}}}}', tags={"size": "s"})
    ],
    resources=[pb.Resource(name="db", description="The database.")],
    executor="in_process",
    container_config_json='{"nodeSelector": {"disk": "fast"}}',
    config_schema_json='{"type": "object", "properties": {}}',
    default_run_config_json="{}",
)


def a_location(name: str = "weather", **changes: Any) -> Location:
    """A code location whose definitions loaded."""
    given: dict[str, Any] = {
        "name": name,
        "host": "127.0.0.1",
        "port": 4000,
        "status": Status.LOADED,
        "server": pb.ServerInfo(image="example/weather:1", container_context_json='{"k8s": {}}'),
        "repositories": {"weather": pb.Repository(name="weather", jobs=[JOB], schedules=[SCHEDULE])},
        "definitions_hash": "0f" * 32,
        "loaded_at": AT,
    }
    return Location(**{**given, **changes})


class StillLocations:
    """Code locations without servers: what ``Locations`` would say, as the test sets it."""

    def __init__(self, *states: Location) -> None:
        self.current = {state.name: state for state in states}
        self.answer: Any = pb.ValidateRunConfigResponse(run_config_json="{}")
        """What the code server says when it is asked; an exception is raised."""
        self.asked: list[dict[str, Any]] = []
        self._changed: asyncio.Queue[Location] = asyncio.Queue()

    def get(self, name: str) -> Location:
        if name not in self.current:
            raise NotFoundError(f"there is no code location {name!r}")
        return self.current[name]

    def change(self, state: Location) -> None:
        """Let a location be another one."""
        self.current[state.name] = state
        self._changed.put_nowait(state)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def changes(self) -> AsyncGenerator[Location, None]:
        for state in self.current.values():
            yield state
        while True:
            yield await self._changed.get()

    async def validate_run_config(self, location: str, repository: str, job: str, **question: Any) -> Any:
        return self._answer(question)

    async def execution_plan(self, location: str, repository: str, job: str, **question: Any) -> Any:
        return self._answer(question)

    def _answer(self, question: dict[str, Any]) -> Any:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
