"""The record of a tick: one outcome, whoever writes it, and requested beats everything."""

from datetime import UTC, datetime, timedelta

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_scheduler.journal import Journal
from dagwire_scheduler.outcomes import Outcome, failed, outcome_of, skipped
from dagwire_scheduler.schedules import Schedule, schedules_of
from dagwire_shared.bus import Delivery, Message
from dagwire_shared.events import ErrorInfo, ScheduleSwitched, TickFailed, TickRequested, TickSkipped
from dagwire_shared.locations import Location, Status
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.streams import EVENTS, Stream
from support.buses import read_to_end
from support.codeservers import a_repository, a_schedule
from support.scheduling import NIGHTLY, VirtualClock, ticks

NOMINAL = datetime(2026, 1, 1, 2, tzinfo=UTC)
LATER = NOMINAL + timedelta(hours=1)
SWITCHED = ScheduleSwitched(location="code", repository="main", schedule="nightly", status="running", by="ada")


class Racing:
    """Streams whose reader sees the subject as it was before somebody else wrote."""

    def __init__(self, bus: MemoryBus) -> None:
        self._streams = bus.streams
        self.stale: list[Delivery | None] = []

    async def last(self, stream: Stream, subject: str) -> Delivery | None:
        return self.stale.pop(0) if self.stale else await self._streams.last(stream, subject)

    async def publish(self, message: Message, **options: object) -> object:
        return await self._streams.publish(message, **options)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(MemoryBroker())


def journal(streams: object) -> Journal:
    return Journal(streams, VirtualClock(), deadline=timedelta(seconds=5))


def the_schedule() -> Schedule:
    repositories = {"main": a_repository(a_schedule())}
    location = Location(name="code", host="h", port=1, status=Status.LOADED, repositories=repositories)
    (schedule,) = schedules_of(location).values()
    return schedule


def a_request(nominal: datetime = NOMINAL) -> Outcome:
    return outcome_of(the_schedule(), nominal, pb.EvaluateScheduleResponse(run_requests=[pb.RunRequest()]))


def a_failure(nominal: datetime = NOMINAL) -> Outcome:
    return failed(the_schedule().identity, nominal, ErrorInfo(type="ValueError", message="no"))


def a_skip(nominal: datetime = NOMINAL) -> Outcome:
    return skipped(the_schedule().identity, nominal, "no")


async def test_a_tick_is_recorded_once_however_often_it_is_told(bus):
    mine = journal(bus.streams)
    assert await mine.record(NIGHTLY, a_request())
    assert not await mine.record(NIGHTLY, a_request())
    assert not await journal(bus.streams).record(NIGHTLY, a_skip())
    assert [type(tick) for tick in await ticks(bus)] == [TickRequested]


async def test_of_two_replicas_that_record_at_once_the_second_notices(bus):
    racing = Racing(bus)
    racing.stale = [None]
    await journal(bus.streams).record(NIGHTLY, a_skip())
    assert not await journal(racing).record(NIGHTLY, a_failure())
    assert [type(tick) for tick in await ticks(bus)] == [TickSkipped]


async def test_what_was_requested_is_recorded_even_over_another_replicas_failure(bus):
    await journal(bus.streams).record(NIGHTLY, a_failure())
    assert await journal(bus.streams).record(NIGHTLY, a_request())
    assert [type(tick) for tick in await ticks(bus)] == [TickFailed, TickRequested]


async def test_an_older_tick_is_not_recorded_after_a_newer_one(bus):
    await journal(bus.streams).record(NIGHTLY, a_request(LATER))
    assert not await journal(bus.streams).record(NIGHTLY, a_skip(NOMINAL))
    assert [tick.nominal_time for tick in await ticks(bus)] == [LATER]


async def test_a_switch_in_between_neither_hides_a_tick_nor_stops_the_next(bus):
    mine = journal(bus.streams)
    await mine.record(NIGHTLY, a_request())
    await mine.switched(NIGHTLY, SWITCHED, revision=7, at=NOMINAL)
    assert not await mine.record(NIGHTLY, a_request())
    assert await mine.record(NIGHTLY, a_request(LATER))
    assert [tick.nominal_time for tick in await ticks(bus)] == [NOMINAL, LATER]


async def test_a_switch_is_recorded_under_the_id_of_its_revision(bus):
    for _ in range(2):
        await journal(bus.streams).switched(NIGHTLY, SWITCHED, revision=7, at=NOMINAL)
    (message,) = await read_to_end(bus, EVENTS)
    assert message.headers["Nats-Msg-Id"] == f"{NIGHTLY}:switch:7"


async def test_a_tick_has_the_id_of_its_nominal_time(bus):
    await journal(bus.streams).record(NIGHTLY, a_request())
    (message,) = await read_to_end(bus, EVENTS)
    assert message.headers["Nats-Msg-Id"] == f"{NIGHTLY}:2026-01-01T02:00:00Z:requested"
    assert message.subject == f"dagwire.v1.event.{NIGHTLY[0]}.{NIGHTLY}.tick"


async def test_a_request_is_accepted_once_for_ever(bus):
    outcome = a_request()
    assert await journal(bus.streams).request(outcome.requests) == 1
    assert await journal(bus.streams).request(outcome.requests) == 0
    assert await journal(bus.streams).request([]) == 0
