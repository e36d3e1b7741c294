"""What every adapter of the Bus port does with streams."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_shared.bus import Bus, Consumer, Message
from dagwire_shared.errors import BusError, ConflictError
from dagwire_shared.streams import CONTROL, EVENTS, QUEUE, REQUESTS, STREAMS
from dagwire_shared.subjects import Kind, request_subject
from support.buses import NOT_LONG, SOON, an_event, bodies, events, read_to_end, subject_of, take

ROLE = "dagwire.v1.queue.11111111-1111-4111-8111-111111111111"


# --- publish ----------------------------------------------------------------------------------------------------


async def test_each_message_gets_the_next_sequence(bus: Bus):
    receipts = [await bus.streams.publish(an_event(number)) for number in range(3)]

    assert [receipt.sequence for receipt in receipts] == [1, 2, 3]
    assert not any(receipt.duplicate for receipt in receipts)


async def test_a_message_is_read_as_it_was_published(bus: Bus):
    message = Message(subject_of(), b"\x00body\r\n", "id-1", {"traceparent": "00-1-2-01"})
    await bus.streams.publish(message)

    found = await bus.streams.last(EVENTS, message.subject)

    assert found is not None
    assert (found.stream, found.subject, found.sequence, found.body) == (EVENTS.name, message.subject, 1, message.body)
    assert found.headers["traceparent"] == "00-1-2-01"
    assert found.headers["Nats-Msg-Id"] == "id-1"
    assert found.time.tzinfo == UTC
    assert abs(datetime.now(UTC) - found.time) < timedelta(minutes=1)
    assert [one.time for one in await read_to_end(bus, EVENTS)] == [found.time]


async def test_a_message_id_is_stored_once(bus: Bus):
    first = await bus.streams.publish(an_event("a", message_id="same"))
    second = await bus.streams.publish(an_event("b", message_id="same"))

    assert (second.sequence, second.duplicate) == (first.sequence, True)
    assert bodies(await read_to_end(bus, EVENTS)) == ["a"]


async def test_a_second_request_under_one_key_is_refused_whatever_its_id(bus: Bus, other: Bus):
    subject = request_subject("key")
    first = await bus.streams.publish(Message(subject, b"first", "a"))
    await bus.streams.publish(Message(request_subject("another"), b"", "b"))
    second = await other.streams.publish(Message(subject, b"second", "c"))

    assert (second.sequence, second.duplicate) == (first.sequence, True)
    kept = await bus.streams.last(REQUESTS, subject)
    assert kept is not None
    assert kept.body == b"first"


async def test_a_subject_of_the_queue_is_free_again_once_its_message_is_removed(bus: Bus):
    first = await bus.streams.publish(Message(ROLE, b"first", "a"))
    await bus.streams.remove(QUEUE, first.sequence)
    second = await bus.streams.publish(Message(ROLE, b"second", "b"))

    assert (second.sequence, second.duplicate) == (2, False)


async def test_only_the_last_order_to_a_run_is_kept(bus: Bus):
    subject = "dagwire.v1.control.11111111-1111-4111-8111-111111111111"
    for number in range(3):
        await bus.streams.publish(Message(subject, str(number).encode(), f"id-{number}"))

    assert [one.body for one in await read_to_end(bus, CONTROL)] == [b"2"]


async def test_a_subject_outside_the_streams_is_an_error(bus: Bus):
    with pytest.raises(BusError, match="no stream"):
        await bus.streams.publish(Message("elsewhere.x", b"", "a"))


# --- expected_last ------------------------------------------------------------------------------------------------


async def test_of_two_writers_that_expect_nothing_the_second_conflicts(bus: Bus, other: Bus):
    await bus.streams.publish(an_event("elsewhere", name="other"))
    await bus.streams.publish(an_event("mine"), expected_last=0)

    with pytest.raises(ConflictError) as conflict:
        await other.streams.publish(an_event("theirs"), expected_last=0)

    assert conflict.value.last_sequence == 2


async def test_a_writer_that_expects_the_last_sequence_appends(bus: Bus):
    first = await bus.streams.publish(an_event("a"))
    await bus.streams.publish(an_event("elsewhere", name="other"))

    second = await bus.streams.publish(an_event("b"), expected_last=first.sequence)

    assert (second.sequence, second.duplicate) == (3, False)


async def test_a_writer_that_expects_an_old_sequence_conflicts(bus: Bus):
    first = await bus.streams.publish(an_event("a"))
    await bus.streams.publish(an_event("b"))

    with pytest.raises(ConflictError):
        await bus.streams.publish(an_event("c"), expected_last=first.sequence)


async def test_a_writer_whose_very_message_is_there_already_is_told_so(bus: Bus):
    message = an_event("claim", message_id="run:1:0")
    first = await bus.streams.publish(message, expected_last=0)

    again = await bus.streams.publish(message, expected_last=0)

    assert (again.sequence, again.duplicate) == (first.sequence, True)


async def test_two_writers_with_one_id_and_different_bodies_are_told_apart(bus: Bus, other: Bus):
    await bus.streams.publish(an_event("worker 1", message_id="run:1:0"), expected_last=0)

    with pytest.raises(ConflictError) as conflict:
        await other.streams.publish(an_event("worker 2", message_id="run:1:0"), expected_last=0)

    assert conflict.value.last_sequence == 1


async def test_of_many_writers_that_expect_nothing_one_succeeds(bus: Bus, other: Bus):
    async def claim(number: int) -> bool:
        writer = (bus, other)[number % 2]
        try:
            await writer.streams.publish(an_event(number, message_id=f"claim-{number}"), expected_last=0)
        except ConflictError:
            return False
        return True

    assert sum(await asyncio.gather(*(claim(number) for number in range(40)))) == 1


# --- publish_all --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 9, 10, 1234])
async def test_a_series_is_stored_in_order_with_a_receipt_each(bus: Bus, count: int):
    receipts = await bus.streams.publish_all(events(count))

    assert [receipt.sequence for receipt in receipts] == list(range(1, count + 1))
    assert bodies(await read_to_end(bus, EVENTS)) == list(range(count))


async def test_of_a_series_only_what_was_not_stored_before_is_added(bus: Bus):
    series = events(60)
    await bus.streams.publish_all(series[:25])

    receipts = await bus.streams.publish_all(series)

    assert [receipt.duplicate for receipt in receipts] == [True] * 25 + [False] * 35
    assert [receipt.sequence for receipt in receipts] == list(range(1, 61))
    assert bodies(await read_to_end(bus, EVENTS)) == list(range(60))


async def test_a_series_over_several_streams_keeps_the_order_in_each(bus: Bus):
    requests = [Message(request_subject(str(number)), str(number).encode(), f"r{number}") for number in range(30)]
    logs = events(30)
    mixed = [*logs[:15], *requests[:20], *logs[15:], *requests[20:]]

    receipts = await bus.streams.publish_all(mixed)

    assert len(receipts) == 60
    assert bodies(await read_to_end(bus, EVENTS)) == list(range(30))
    assert [receipts[mixed.index(one)].sequence for one in logs] == list(range(1, 31))
    assert {one.body for one in await read_to_end(bus, REQUESTS)} == {one.body for one in requests}


async def test_of_two_requests_under_one_key_in_a_series_the_first_is_kept(bus: Bus):
    subject = request_subject("key")
    receipts = await bus.streams.publish_all([Message(subject, b"1", "a"), Message(subject, b"2", "b")])

    assert [receipt.duplicate for receipt in receipts] == [False, True]
    assert [one.body for one in await read_to_end(bus, REQUESTS)] == [b"1"]


async def test_large_messages_make_a_series(bus: Bus):
    series = [Message(subject_of(), bytes([number]) * 500_000, f"large-{number}") for number in range(25)]

    await bus.streams.publish_all(series)

    assert [one.body[0] for one in await read_to_end(bus, EVENTS)] == list(range(25))


async def test_a_refused_request_in_a_series_does_not_hold_up_the_others(bus: Bus):
    await bus.streams.publish(Message(request_subject("5"), b"before", "before"))

    receipts = await bus.streams.publish_all(
        [Message(request_subject(str(number)), b"", f"r{number}") for number in range(10)]
    )

    assert [receipt.duplicate for receipt in receipts] == [number == 5 for number in range(10)]


# --- follow -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
async def test_an_empty_stream_is_caught_up_at_once(bus: Bus, stream):
    assert await read_to_end(bus, stream) == []


async def test_a_filter_that_nothing_matches_is_caught_up_at_once(bus: Bus):
    await bus.streams.publish_all(events(5))

    assert await read_to_end(bus, EVENTS, subjects=[subject_of("nobody")]) == []


async def test_a_follower_reads_history_then_what_comes(bus: Bus, other: Bus):
    await bus.streams.publish_all(events(3000))
    seen: list[object] = []
    caught_up_at: int | None = None

    async with asyncio.timeout(20), contextlib.aclosing(bus.streams.follow(EVENTS)) as batches:
        async for batch in batches:
            seen += bodies(batch.deliveries)
            if batch.caught_up and caught_up_at is None:
                caught_up_at = len(seen)
                await other.streams.publish_all(events(500, start=3000))
            if len(seen) == 3500:
                break

    assert seen == list(range(3500))
    assert caught_up_at == 3000


async def test_a_follower_begins_after_the_sequence_it_is_given(bus: Bus):
    await bus.streams.publish_all(events(10))

    assert bodies(await read_to_end(bus, EVENTS, after=7)) == [7, 8, 9]
    assert await read_to_end(bus, EVENTS, after=10) == []


async def test_a_follower_that_begins_beyond_the_end_waits_for_it(bus: Bus):
    await bus.streams.publish_all(events(3))
    async with asyncio.timeout(10), contextlib.aclosing(bus.streams.follow(EVENTS, after=4)) as batches:
        first = await anext(batches)
        await bus.streams.publish_all(events(3, start=3))
        second = await anext(batches)

    assert (list(first.deliveries), first.caught_up) == ([], True)
    assert second.deliveries[0].sequence == 5


async def test_a_follower_sees_only_the_subjects_of_its_filters(bus: Bus):
    for number in range(4):
        for kind in (Kind.RUN, Kind.STEP, Kind.LOG):
            await bus.streams.publish(an_event(f"{kind}{number}", kind=kind))

    one = await read_to_end(bus, EVENTS, subjects=["dagwire.v1.event.*.*.run"])
    two = await read_to_end(bus, EVENTS, subjects=["dagwire.v1.event.*.*.run", "dagwire.v1.event.*.*.log"])

    assert bodies(one) == ["run0", "run1", "run2", "run3"]
    assert bodies(two) == [f"{kind}{number}" for number in range(4) for kind in ("run", "log")]


async def test_a_follower_passes_over_removed_messages(bus: Bus):
    for number in range(5):
        await bus.streams.publish(Message(f"{ROLE[:-1]}{number}", str(number).encode(), f"q{number}"))
    await bus.streams.remove(QUEUE, 2)
    await bus.streams.remove(QUEUE, 5)

    assert [one.sequence for one in await read_to_end(bus, QUEUE)] == [1, 3, 4]


async def test_a_batch_is_caught_up_only_when_nothing_stored_is_still_to_come(bus: Bus):
    await bus.streams.publish_all(events(2500))
    told: list[tuple[int, bool]] = []
    seen = 0
    async with asyncio.timeout(20), contextlib.aclosing(bus.streams.follow(EVENTS)) as batches:
        async for batch in batches:
            seen += len(batch.deliveries)
            told.append((seen, batch.caught_up))
            if batch.caught_up:
                break

    assert told[-1] == (2500, True)
    assert not any(caught_up for count, caught_up in told if count < 2500)


async def test_two_followers_do_not_disturb_each_other(bus: Bus, other: Bus):
    await bus.streams.publish_all(events(100))

    first, second = await asyncio.gather(read_to_end(bus, EVENTS), read_to_end(other, EVENTS))

    assert bodies(first) == bodies(second) == list(range(100))


async def test_a_follower_gets_a_single_message_at_once(bus: Bus, other: Bus):
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10), contextlib.aclosing(bus.streams.follow(EVENTS)) as batches:
        await anext(batches)
        for number in range(3):
            began = loop.time()
            await other.streams.publish(an_event(number))
            assert bodies((await anext(batches)).deliveries) == [number]
            assert loop.time() - began < 1


# --- consume ------------------------------------------------------------------------------------------------------


def a_consumer(**changes: object) -> Consumer:
    return Consumer(**({"stream": EVENTS, "name": "reader", "ack_wait": timedelta(seconds=30)} | changes))


async def test_an_acknowledged_message_never_comes_again(bus: Bus):
    await bus.streams.publish_all(events(20))
    async with bus.streams.consume(a_consumer(ack_wait=timedelta(seconds=0.3))) as subscription:
        seen: list[object] = []
        while len(seen) < 20:
            batch = await subscription.batch(7, wait=SOON)
            assert 1 <= len(batch) <= 7
            seen += bodies(batch)
            await subscription.acknowledge(batch)
        assert await subscription.batch(7, wait=timedelta(seconds=0.6)) == []
    async with bus.streams.consume(a_consumer()) as subscription:
        assert await subscription.batch(7, wait=NOT_LONG) == []

    assert seen == list(range(20))


async def test_what_is_not_acknowledged_comes_again_after_a_while(bus: Bus):
    await bus.streams.publish_all(events(3))
    async with bus.streams.consume(a_consumer(ack_wait=timedelta(seconds=0.3))) as subscription:
        first = await take(subscription, 3)
        await subscription.acknowledge([first[1]])
        again = await take(subscription, 2)

    assert bodies(first) == [0, 1, 2]
    assert not any(one.redelivered for one in first)
    assert bodies(again) == [0, 2]
    assert all(one.redelivered for one in again)


async def test_a_closed_subscription_gives_back_what_it_did_not_acknowledge(bus: Bus, other: Bus):
    await bus.streams.publish_all(events(50))
    async with bus.streams.consume(a_consumer()) as subscription:
        done = await subscription.batch(10, wait=SOON)
        await subscription.acknowledge(done)
        assert await subscription.batch(10, wait=SOON)
    async with other.streams.consume(a_consumer()) as subscription:
        found = await take(subscription, 50 - len(done))

    assert sorted(bodies([*done, *found])) == list(range(50))


async def test_two_processes_share_the_work_of_one_consumer(bus: Bus, other: Bus):
    await bus.streams.publish_all(events(200))
    seen: list[object] = []

    async def work(connection: Bus) -> None:
        async with connection.streams.consume(a_consumer()) as subscription:
            while batch := await subscription.batch(10, wait=timedelta(seconds=1)):
                await subscription.acknowledge(batch)
                seen.extend(bodies(batch))

    await asyncio.gather(work(bus), work(other))

    assert sorted(seen) == list(range(200))


async def test_two_consumers_each_see_everything(bus: Bus):
    await bus.streams.publish_all(events(5))
    for name in ("one", "two"):
        async with bus.streams.consume(a_consumer(name=name)) as subscription:
            assert bodies(await take(subscription, 5)) == [0, 1, 2, 3, 4]


async def test_a_delivery_can_be_asked_for_again_later(bus: Bus):
    await bus.streams.publish_all(events(2))
    loop = asyncio.get_running_loop()
    async with bus.streams.consume(a_consumer()) as subscription:
        first, second = await take(subscription, 2)
        await subscription.acknowledge([second])
        began = loop.time()
        await subscription.retry(first, after=timedelta(seconds=0.3))
        assert await subscription.batch(10, wait=NOT_LONG) == []
        again = await subscription.batch(10, wait=SOON)
        waited = loop.time() - began
        await subscription.acknowledge(again)

    assert bodies(again) == [0]
    assert again[0].redelivered
    assert 0.25 < waited < 3


async def test_an_idle_consumer_returns_nothing_after_its_wait(bus: Bus):
    loop = asyncio.get_running_loop()
    async with bus.streams.consume(a_consumer()) as subscription:
        began = loop.time()
        assert await subscription.batch(10, wait=timedelta(seconds=0.2)) == []
        assert 0.15 < loop.time() - began < 2


async def test_a_waiting_consumer_gets_a_message_at_once(bus: Bus, other: Bus):
    loop = asyncio.get_running_loop()
    async with bus.streams.consume(a_consumer()) as subscription:
        waiting = asyncio.create_task(subscription.batch(1000, wait=timedelta(seconds=20)))
        assert not (await asyncio.wait({waiting}, timeout=0.1))[0]
        began = loop.time()
        await other.streams.publish(an_event("now"))
        assert bodies(await waiting) == ["now"]
        assert loop.time() - began < 1


async def test_a_consumer_gets_no_more_than_it_may_hold_unacknowledged(bus: Bus):
    await bus.streams.publish_all(events(10))
    async with bus.streams.consume(a_consumer(max_unacknowledged=4)) as subscription:
        held = await take(subscription, 4)
        assert await subscription.batch(10, wait=NOT_LONG) == []
        await subscription.acknowledge(held)
        assert bodies(await take(subscription, 2)) == [4, 5]

    assert bodies(held) == [0, 1, 2, 3]


async def test_a_consumer_sees_only_the_subjects_of_its_filters(bus: Bus):
    for kind in (Kind.RUN, Kind.STEP, Kind.LOG):
        await bus.streams.publish(an_event(str(kind), kind=kind))
    filters = ["dagwire.v1.event.*.*.run", "dagwire.v1.event.*.*.log"]
    async with bus.streams.consume(a_consumer(subjects=filters)) as subscription:
        found = bodies(await take(subscription, 2))
        assert await subscription.batch(10, wait=NOT_LONG) == []

    assert found == ["run", "log"]


async def test_acknowledging_nothing_or_twice_is_fine(bus: Bus):
    await bus.streams.publish(an_event())
    async with bus.streams.consume(a_consumer()) as subscription:
        batch = await subscription.batch(10, wait=SOON)
        await subscription.acknowledge([])
        await subscription.acknowledge(batch)
        await subscription.acknowledge(batch)
        assert await subscription.batch(10, wait=NOT_LONG) == []


# --- last, remove, position -----------------------------------------------------------------------------------------


async def test_the_last_message_is_that_of_the_subject(bus: Bus):
    await bus.streams.publish_all([*events(3), *events(2, name="other")])

    found = await bus.streams.last(EVENTS, subject_of())

    assert found is not None
    assert (found.sequence, bodies([found])) == (3, [2])
    assert await bus.streams.last(EVENTS, subject_of("nobody")) is None


async def test_removing_a_message_that_is_gone_is_fine(bus: Bus):
    receipt = await bus.streams.publish(Message(ROLE, b"", "a"))

    await bus.streams.remove(QUEUE, receipt.sequence)
    await bus.streams.remove(QUEUE, receipt.sequence)
    await bus.streams.remove(QUEUE, 4711)

    assert await bus.streams.last(QUEUE, ROLE) is None


async def test_a_batch_names_the_epoch_of_the_stream_it_was_read_from(bus: Bus):
    await bus.streams.publish_all(events(3))
    position = await bus.streams.position(EVENTS)
    async for batch in bus.streams.follow(EVENTS):
        assert batch.epoch == position.epoch > 0
        break


async def test_a_position_says_where_the_stream_begins_and_ends(bus: Bus):
    empty = await bus.streams.position(EVENTS)
    await bus.streams.publish_all(events(5))
    await bus.streams.remove(EVENTS, 1)
    full = await bus.streams.position(EVENTS)

    assert empty.last == 0
    assert (full.first, full.last) == (2, 5)
    assert full.epoch == empty.epoch
    assert abs(full.epoch - datetime.now(UTC).timestamp()) < 60


async def test_a_connection_says_whether_it_is_there(bus: Bus):
    assert bus.connected
