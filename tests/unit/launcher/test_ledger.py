"""The launcher's words about a run form a chain."""

from datetime import datetime

import pytest
from dagwire_launcher.admission import queued
from dagwire_launcher.ledger import Ledger, read_cancel
from dagwire_shared.bus import Delivery, Message
from dagwire_shared.errors import ConflictError
from dagwire_shared.events import RequestedBy, RunCanceling, RunDropped, RunLaunched, RunLost
from dagwire_shared.ids import run_id_for
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.model import utc_now
from dagwire_shared.streams import CONTROL, DEAD, EVENTS
from dagwire_shared.subjects import Kind, control_subject, event_subject
from support.launching import a_request, cancel_run
from support.launchworld import said_of

RUN = run_id_for("k")
BY = RequestedBy(kind="bus")
LAUNCHED = RunLaunched(backend="process", worker="1")


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def bus(time):
    return MemoryBus(MemoryBroker(now=time))


@pytest.fixture
def ledger(bus, time):
    return Ledger(bus.streams, clock=time)


async def test_a_run_is_recorded_once_also_when_the_stream_has_forgotten_the_id(bus, ledger, time):
    await ledger.say(RUN, queued(a_request("k")), after=0)
    time.now += EVENTS.duplicate_window * 2
    with pytest.raises(ConflictError):
        await ledger.say(RUN, queued(a_request("k")), after=0)
    assert len(await said_of(bus, RUN)) == 1


async def test_a_word_that_something_else_came_before_is_not_said(bus, ledger, time):
    first = await ledger.say(RUN, queued(a_request("k")), after=0)
    await ledger.say(RUN, LAUNCHED, after=first)
    for word in (RunDropped(requested_by=BY), RunLost(cause="worker_lost", message=""), RunCanceling(requested_by=BY)):
        with pytest.raises(ConflictError):
            await ledger.say(RUN, word, after=first)
    assert [one.type for one in await said_of(bus, RUN)] == ["dagwire.run.queued", "dagwire.run.launched"]


async def test_a_run_ends_once_also_when_the_stream_has_forgotten_the_id(bus, ledger, time):
    first = await ledger.say(RUN, queued(a_request("k")), after=0)
    await ledger.say(RUN, RunDropped(requested_by=BY), after=first)
    time.now += EVENTS.duplicate_window * 2
    with pytest.raises(ConflictError):
        await ledger.say(RUN, RunLost(cause="worker_lost", message=""), after=first)


async def test_the_last_words_and_the_trace_are_read(bus, ledger):
    assert (await ledger.facts(RUN)).launch_sequence == 0
    sequence = await ledger.say(RUN, queued(a_request("k")), after=0, traceparent="00-a-b-01")
    facts = await ledger.facts(RUN)
    assert facts.launch_sequence == sequence
    assert facts.traceparent == "00-a-b-01"
    assert facts.run is None
    assert not facts.ended


async def test_a_word_of_a_newer_version_is_no_word_of_ours(bus, ledger):
    body = b'{"id":"x","source":"/new","type":"dagwire.run.teleported","subject":"x","time":"2030-01-01T00:00:00Z"}'
    await bus.streams.publish(Message(event_subject(RUN, Kind.LAUNCH), body, "x"))
    await bus.streams.publish(Message(event_subject(RUN, Kind.RUN), b"no json", "y"))
    facts = await ledger.facts(RUN)
    assert facts.launch.event is None
    assert facts.run.event is None
    assert not facts.ended


async def test_only_an_order_on_its_own_subject_counts(bus, ledger):
    assert await ledger.cancel_order(RUN) is None
    await cancel_run(bus, RUN)
    assert (await ledger.cancel_order(RUN)).run_id == RUN
    delivery = await bus.streams.last(CONTROL, control_subject(RUN))
    stray = Delivery("s", control_subject(run_id_for("other")), 1, utc_now(), delivery.body, {})
    assert read_cancel(stray) is None


async def test_a_long_cause_and_line_ends_fit_a_header(bus, ledger):
    delivery = Delivery("DAGWIRE_REQUESTS", "dagwire.v1.request.x", 7, utc_now(), b"body", {})
    await ledger.bury(delivery, "one\ntwo\r\n" + "x" * 5000)
    dead = await bus.streams.last(DEAD, "dagwire.v1.dead.DAGWIRE_REQUESTS")
    assert dead.headers["Dagwire-Cause"].startswith("one two xxx")
    assert len(dead.headers["Dagwire-Cause"]) == 1000
