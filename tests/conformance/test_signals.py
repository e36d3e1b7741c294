"""What every adapter of the Bus port does with signals."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from dagwire_shared.bus import Bus
from dagwire_shared.errors import BusUnavailableError
from support.buses import NOT_LONG, SOON


async def upper(body: bytes) -> bytes:
    return body.upper()


async def test_a_listener_hears_each_notification(bus: Bus, other: Bus):
    async with asyncio.timeout(10), contextlib.aclosing(bus.signals.listen("dagwire.v1.signal.*")) as heard:
        first = asyncio.ensure_future(anext(heard))
        while not first.done():
            await other.signals.notify("dagwire.v1.signal.begin")
            await asyncio.wait({first}, timeout=0.02)
        await other.signals.notify("dagwire.v1.signal.stored", b"4711")
        while (signal := await anext(heard))[0] == "dagwire.v1.signal.begin":
            pass

    assert signal == ("dagwire.v1.signal.stored", b"4711")


async def test_a_notification_nobody_listens_to_is_lost_silently(bus: Bus):
    await bus.signals.notify("dagwire.v1.signal.stored")


async def test_a_question_is_answered(bus: Bus, other: Bus):
    async with other.signals.serve("dagwire.v1.ask.known", upper, group="store"):
        assert await bus.signals.ask("dagwire.v1.ask.known", b"run", wait=SOON) == b"RUN"


async def test_nobody_to_ask_is_an_error_after_the_wait(bus: Bus):
    loop = asyncio.get_running_loop()
    began = loop.time()

    with pytest.raises(BusUnavailableError, match="nobody answered"):
        await bus.signals.ask("dagwire.v1.ask.known", b"", wait=NOT_LONG)

    assert loop.time() - began < 2


async def test_a_question_waits_for_somebody_who_answers(bus: Bus, other: Bus):
    question = asyncio.create_task(bus.signals.ask("dagwire.v1.ask.known", b"run", wait=SOON))
    assert not (await asyncio.wait({question}, timeout=0.1))[0]

    async with other.signals.serve("dagwire.v1.ask.known", upper, group="store"):
        assert await question == b"RUN"


async def test_within_a_group_one_replica_answers_each_question(bus: Bus, other: Bus):
    asked: list[bytes] = []

    async def answer(body: bytes) -> bytes:
        asked.append(body)
        return body

    async with (
        bus.signals.serve("dagwire.v1.ask.known", answer, group="store"),
        other.signals.serve("dagwire.v1.ask.known", answer, group="store"),
    ):
        for number in range(20):
            await bus.signals.ask("dagwire.v1.ask.known", str(number).encode(), wait=SOON)

    assert asked == [str(number).encode() for number in range(20)]


async def test_a_handler_that_fails_leaves_the_question_open_and_serves_on(bus: Bus):
    async def answer(body: bytes) -> bytes:
        if body == b"bad":
            raise ValueError(body)
        return b"fine"

    async with bus.signals.serve("dagwire.v1.ask.known", answer, group="store"):
        with pytest.raises(BusUnavailableError):
            await bus.signals.ask("dagwire.v1.ask.known", b"bad", wait=NOT_LONG)
        assert await bus.signals.ask("dagwire.v1.ask.known", b"good", wait=SOON) == b"fine"


async def test_questions_are_answered_side_by_side(bus: Bus):
    meeting = asyncio.Barrier(5)

    async def answer(body: bytes) -> bytes:
        await meeting.wait()
        return body

    async with bus.signals.serve("dagwire.v1.ask.known", answer, group="store"):
        questions = [bus.signals.ask("dagwire.v1.ask.known", bytes([n]), wait=timedelta(seconds=5)) for n in range(5)]
        assert await asyncio.gather(*questions) == [bytes([n]) for n in range(5)]
