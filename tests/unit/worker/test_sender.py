"""The sender: everything reaches the stream, in order and once, however the bus behaves."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from dagwire.worker.outbox import Outbox
from dagwire.worker.sender import DOUBT_SECONDS, Sender, not_accepted
from dagwire.worker.spool import Spool
from dagwire_shared.envelope import decode
from dagwire_shared.errors import BusError, BusUnavailableError, PermissionDeniedError
from dagwire_shared.events import LogWritten, OutputProduced, RunSucceeded, StepStarted
from dagwire_shared.ids import run_id_for
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.model import utc_now
from dagwire_shared.streams import EVENTS
from support.buses import read_to_end

pytestmark = pytest.mark.timeout(20)
RUN = run_id_for("k")
END = RunSucceeded(seconds=1)


class Flaky:
    """Streams that fail as a plan says, one entry per call: None, ``lost``, ``unanswered``, or an error."""

    def __init__(self, streams, plan=()) -> None:
        self._streams = streams
        self.plan = list(plan)
        self.batches = []
        self.reads = []

    async def publish_all(self, messages, *, deadline=timedelta(seconds=30)):
        self.batches.append([one.id for one in messages])
        fault = self.plan.pop(0) if self.plan else None
        if callable(fault):
            fault = fault()
        if isinstance(fault, Exception):
            raise fault
        if fault == "lost":
            raise BusUnavailableError("lost on the way there")
        if isinstance(fault, int):
            await self._streams.publish_all(messages[:fault])
            raise BusUnavailableError("lost in the middle")
        receipts = await self._streams.publish_all(messages)
        if fault == "unanswered":
            raise BusUnavailableError("lost on the way back")
        return receipts

    async def last(self, stream, subject):
        self.reads.append(subject)
        return await self._streams.last(stream, subject)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def bus():
    return MemoryBus(MemoryBroker())


@pytest.fixture
def outbox(tmp_path):
    return Outbox(RUN, Spool(tmp_path, limit_bytes=1_000_000))


def line(text):
    return LogWritten(level="INFO", message=str(text))


async def stored(bus):
    """All events, of which the last is the end."""
    events = [decode(one.body) for one in await read_to_end(bus, EVENTS)]
    assert events[-1].type == END.TYPE
    return events[:-1]


async def test_all_is_stored_in_order_and_the_sender_ends(bus, outbox):
    events = [
        StepStarted(step_key="a", pid=1),
        line(1),
        OutputProduced(step_key="a", output="b"),
    ]
    for event in events:
        outbox.offer(event)
    outbox.finish(END)
    await Sender(bus.streams, outbox).run()
    assert [one.type for one in await stored(bus)] == [event.TYPE for event in events]


async def test_the_first_event_goes_at_once_and_later_ones_gather(bus, outbox):
    flaky = Flaky(bus.streams)
    sending = asyncio.create_task(Sender(flaky, outbox).run())
    await asyncio.sleep(0)
    outbox.offer(line(0))
    while not flaky.batches:  # noqa: ASYNC110 -- the fake tells of no event
        await asyncio.sleep(0)
    for number in range(1, 50):
        outbox.offer(line(number))
        await asyncio.sleep(0)
    outbox.finish(END)
    await sending
    assert len(flaky.batches[0]) == 1
    assert len(flaky.batches) < 10
    assert [one.data["message"] for one in await stored(bus)] == [str(number) for number in range(50)]


@pytest.mark.parametrize("plan", [["lost"], ["unanswered"], ["lost", "unanswered", "lost"], [3, "lost", 5]])
async def test_what_got_lost_is_sent_again_under_the_same_ids(bus, outbox, plan):
    flaky = Flaky(bus.streams, plan)
    for number in range(10):
        outbox.offer(line(number))
    outbox.finish(END)
    await Sender(flaky, outbox).run()
    assert [one.data["message"] for one in await stored(bus)] == [str(number) for number in range(10)]
    assert len({tuple(batch) for batch in flaky.batches}) == 1
    assert flaky.reads == []


@pytest.mark.parametrize("accepted", [0, 1, 4, 7, 10])
async def test_after_a_long_outage_only_what_the_stream_lacks_is_sent(accepted, outbox):
    time = utc_now()
    broker = MemoryBroker(now=lambda: time)
    bus = MemoryBus(broker)
    clock = Clock()

    def outage():
        nonlocal time
        clock.now += DOUBT_SECONDS + 1
        time += EVENTS.duplicate_window + timedelta(seconds=1)  # the server no longer knows the ids
        return BusUnavailableError("still away")

    flaky = Flaky(bus.streams, [accepted, outage])
    for number in range(10):
        outbox.offer(line(number) if number % 2 else StepStarted(step_key="a", pid=number))
    outbox.finish(END)
    await Sender(flaky, outbox, clock=clock).run()
    events = await stored(bus)
    assert Counter(one.id for one in events) == Counter(f"{RUN}:1:{number}" for number in range(1, 11))
    assert [one.id for one in events] == [f"{RUN}:1:{number}" for number in range(1, 11)]
    assert flaky.reads


async def test_an_event_that_the_server_refuses_leaves_a_note_and_holds_up_no_other(bus, outbox):
    for text in ("before", "bad", "after"):
        outbox.offer(line(text))
    outbox.finish(END)

    class Picky(Flaky):
        async def publish_all(self, messages, *, deadline=timedelta(seconds=30)):
            if any(b'"bad"' in one.body for one in messages):
                raise BusError("too large")
            return await super().publish_all(messages)

    await Sender(Picky(bus.streams), outbox).run()
    events = await stored(bus)
    assert [one.type for one in events] == ["dagwire.log.written", "dagwire.engine.noted", "dagwire.log.written"]
    assert [one.id for one in events] == [f"{RUN}:1:{number}" for number in (1, 2, 3)]
    assert "dagwire.log.written is left out" in events[1].data["message"]


async def test_a_credential_that_is_not_enough_ends_the_sender(bus, outbox):
    outbox.offer(line(1))
    flaky = Flaky(bus.streams, [PermissionDeniedError("no")])
    with pytest.raises(PermissionDeniedError):
        await Sender(flaky, outbox).run()
    assert len(flaky.batches) == 1


async def test_only_events_after_the_last_of_their_subject_are_left(bus, outbox):
    for event in (line(1), StepStarted(step_key="a", pid=1), line(2), line(3)):
        outbox.offer(event)
    batch = outbox.next_batch()
    await bus.streams.publish_all(batch[:3])
    lasts = [await bus.streams.last(EVENTS, subject) for subject in {one.subject for one in batch}]
    assert not_accepted(batch, lasts) == [batch[3]]
    assert not_accepted(batch, [None]) == list(batch)
