"""Whose a run is."""

import json
from datetime import UTC, datetime

import pytest
from dagwire.worker.claim import OVER, SOURCE, STARTED, Claim, claim, claim_message
from dagwire_shared.envelope import decode, event_message
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.events import RequestedBy, RunDropped, RunLaunched, RunLost, RunPlanned, RunStarted
from dagwire_shared.ids import run_id_for
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.streams import EVENTS
from support.buses import read_to_end

RUN = run_id_for("k")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def bus():
    return MemoryBus(MemoryBroker())


async def take(streams, worker="mine"):
    return await claim(streams, RUN, worker=worker, traceparent=None)


async def say(bus, event, message_id="x"):
    await bus.streams.publish(event_message(event, id=message_id, source="/test", subject=RUN, time=NOON))


@pytest.mark.parametrize("trace", [None, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])
def test_the_claim_says_what_the_event_class_would_say(trace):
    mine = claim_message(RUN, worker="w", traceparent=trace, time=NOON)
    event = decode(mine.body).event
    assert isinstance(event, RunStarted)
    theirs = event_message(event, id=f"{RUN}:1:0", source=SOURCE, subject=RUN, time=NOON, traceparent=trace, word="w")
    assert mine.subject == theirs.subject
    assert mine.id == theirs.id
    assert json.loads(mine.body) == json.loads(theirs.body)


def test_the_words_are_those_of_the_event_classes():
    assert STARTED == RunStarted.TYPE
    assert {RunLost.TYPE, RunDropped.TYPE} == OVER


async def test_the_first_worker_has_the_run(bus):
    assert await take(bus.streams) is Claim.OURS
    (started,) = await read_to_end(bus, EVENTS)
    assert decode(started.body).data["worker"] == "mine"


async def test_the_second_worker_has_not(bus):
    await take(bus.streams, "first")
    assert await take(bus.streams, "second") is Claim.ANOTHERS
    assert len(await read_to_end(bus, EVENTS)) == 1


async def test_a_run_that_went_on_under_another_worker_is_not_taken(bus):
    await take(bus.streams, "first")
    await say(bus, RunPlanned(executor="in_process", steps=[]))
    assert await take(bus.streams, "second") is Claim.ANOTHERS


async def test_a_launched_run_is_taken(bus):
    await say(bus, RunLaunched(backend="process", worker="1"))
    assert await take(bus.streams) is Claim.OURS


@pytest.mark.parametrize(
    "end", [RunDropped(requested_by=RequestedBy(kind="bus")), RunLost(cause="start_timeout", message="")]
)
async def test_a_run_that_the_launcher_ended_is_not_begun(bus, end):
    await say(bus, end)
    assert await take(bus.streams) is Claim.OVER


class Unsure:
    """Streams that lose the first answers."""

    def __init__(self, streams, *, lost, stored) -> None:
        self._streams, self._lost, self._stored = streams, lost, stored

    async def publish(self, message, *, expected_last=None, deadline=None):
        if self._lost:
            self._lost -= 1
            if self._stored:
                await self._streams.publish(message, expected_last=expected_last)
            raise BusUnavailableError("no answer")
        return await self._streams.publish(message, expected_last=expected_last)

    async def last(self, stream, subject):
        return await self._streams.last(stream, subject)


@pytest.mark.parametrize("stored", [True, False])
async def test_a_claim_whose_answer_was_lost_is_recognised(bus, stored):
    assert await take(Unsure(bus.streams, lost=3, stored=stored)) is Claim.OURS
    assert len(await read_to_end(bus, EVENTS)) == 1
