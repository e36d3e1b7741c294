"""The reporter: all that a step says reaches its run worker, in order and once, however the bus behaves."""

import asyncio
import random
from datetime import timedelta

import pytest
from dagwire.worker.claim import Claim
from dagwire.worker.codes import RunGoneError
from dagwire.worker.outbox import Outbox
from dagwire.worker.sizes import LARGEST_EVENT
from dagwire.worker.spool import Spool
from dagwire.worker.steps import reporter as reporter_module
from dagwire.worker.steps.hello import Absence, Approach, StepName
from dagwire.worker.steps.messages import Greeting, Hello, Receipt, Report
from dagwire.worker.steps.reporter import Reporter, parts
from dagwire_shared.bus import Message
from dagwire_shared.errors import BusUnavailableError, MalformedMessageError
from dagwire_shared.events import LogWritten
from dagwire_shared.ids import run_id_for
from dagwire_shared.memory import MemoryBroker, MemoryBus
from dagwire_shared.subjects import StepTalk, step_subject

pytestmark = pytest.mark.timeout(20)
RUN = run_id_for("reporter")
WHO = Hello(step_key="load", attempt=1, worker="a" * 32)


class Desk:
    """A run worker that takes in everything, and may be told to answer otherwise."""

    def __init__(self) -> None:
        self.messages, self.reports, self.done = [], [], False
        self.stop = self.refusal = None
        self.room = 10**9
        self.asked = asyncio.Event()

    async def reported(self, times):
        """Return when so many more reports have come."""
        for _ in range(times):
            self.asked.clear()
            await self.asked.wait()

    async def answer(self, body):
        self.asked.set()
        report = Report.model_validate_json(body)
        self.reports.append(report)
        for number, envelope in enumerate(report.events, report.first):
            if number == len(self.messages) + 1 and len(self.messages) < self.room:
                self.messages.append(envelope.data["message"])
        if report.done and report.first == len(self.messages) + 1:
            self.done = True
        receipt = Receipt(taken=len(self.messages), stop=self.stop, refusal=self.refusal)
        return receipt.model_dump_json().encode()


class Unreliable:
    """Signals that lose questions and answers by chance, or are away."""

    def __init__(self, signals, chance) -> None:
        self._signals, self._chance, self.away = signals, chance, False

    async def ask(self, subject, body, *, wait):
        if self.away or self._chance.random() < 0.3:
            await asyncio.sleep(0)
            raise BusUnavailableError("lost on the way there")
        answer = await self._signals.ask(subject, body, wait=wait)
        if self._chance.random() < 0.3:
            raise BusUnavailableError("lost on the way back")
        return answer

    def listen(self, subject):
        return self._signals.listen(subject)


class Bus:
    def __init__(self, bus, signals=None) -> None:
        self.signals = signals or bus.signals
        self.connected = True


@pytest.fixture
def bus():
    return MemoryBus(MemoryBroker())


@pytest.fixture
def outbox(tmp_path):
    return Outbox(RUN, Spool(tmp_path, limit_bytes=1_000_000))


@pytest.fixture
async def desk(bus):
    made = Desk()
    async with bus.signals.serve(step_subject(RUN, StepTalk.REPORT), made.answer, group="run-worker"):
        yield made


def reporting(bus, outbox, *, seconds=60.0, stops=None):
    on_stop = (stops if stops is not None else []).append
    return Reporter(bus, RUN, WHO, outbox, absence=Absence(seconds), on_stop=on_stop)


def say(outbox, *texts):
    for text in texts:
        assert outbox.offer(LogWritten(level="INFO", message=str(text)))


async def test_everything_is_handed_over_and_then_that_it_is_all(bus, outbox, desk):
    task = asyncio.create_task(reporting(Bus(bus), outbox).run())
    for number in range(1200):
        say(outbox, number)
        if number % 100 == 0:
            await asyncio.sleep(0.002)
    outbox.finish(None)
    await task
    assert desk.messages == [str(number) for number in range(1200)]
    assert desk.done
    assert desk.reports[-1].done
    assert not desk.reports[-1].events


@pytest.mark.parametrize("seed", range(10))
async def test_lost_questions_and_answers_lose_and_repeat_nothing(bus, outbox, desk, seed):
    unreliable = Unreliable(bus.signals, random.Random(seed))
    say(outbox, *range(50))
    task = asyncio.create_task(reporting(Bus(bus, unreliable), outbox).run())
    await asyncio.sleep(0.01)
    say(outbox, *range(50, 600))
    outbox.finish(None)
    await task
    assert desk.messages == [str(number) for number in range(600)]
    assert desk.done


async def test_a_run_worker_without_room_is_asked_again(bus, outbox, desk, monkeypatch):
    monkeypatch.setattr(reporter_module, "_AGAIN_SECONDS", 0.001)
    desk.room = 3
    say(outbox, *range(10))
    outbox.finish(None)
    task = asyncio.create_task(reporting(Bus(bus), outbox).run())
    await desk.reported(5)
    desk.room = 100
    await task
    assert desk.messages == [str(number) for number in range(10)]


async def test_a_silent_step_asks_whether_to_go_on(bus, outbox, desk, monkeypatch):
    monkeypatch.setattr(reporter_module, "HEARTBEAT_SECONDS", 0.01)
    stops = []
    task = asyncio.create_task(reporting(Bus(bus), outbox, stops=stops).run())
    await desk.reported(3)
    desk.stop = "canceled"
    await desk.reported(2)
    outbox.finish(None)
    await task
    assert stops[0] == "canceled"
    assert all(not one.events for one in desk.reports)


async def test_the_word_that_some_step_is_to_stop_makes_it_ask_at_once(bus, outbox, desk):
    stops = []
    task = asyncio.create_task(reporting(Bus(bus), outbox, stops=stops).run())
    desk.stop = "canceled"
    await asyncio.sleep(0.01)  # it listens
    await bus.signals.notify(step_subject(RUN, StepTalk.STOP))
    async with asyncio.timeout(2):  # less than a heartbeat
        await desk.reported(1)
    outbox.finish(None)
    await task
    assert stops


async def test_a_refusal_ends_the_report(bus, outbox, desk):
    desk.refusal = "its worker has ended"
    say(outbox, "x")
    with pytest.raises(RunGoneError, match="its worker has ended"):
        await reporting(Bus(bus), outbox).run()


async def test_a_run_worker_that_never_answers_is_gone(bus, outbox):
    signals = Unreliable(bus.signals, random.Random(0))
    signals.away = True
    say(outbox, "x")
    with pytest.raises(RunGoneError, match="gone"):
        await reporting(Bus(bus, signals), outbox, seconds=0.01).run()


async def test_a_run_worker_is_waited_for_while_the_bus_is_away(bus, outbox, desk):
    signals = Unreliable(bus.signals, random.Random(0))
    signals.away = True
    away = Bus(bus, signals)
    away.connected = False
    say(outbox, "x")
    outbox.finish(None)
    task = asyncio.create_task(reporting(away, outbox, seconds=0.01).run())
    await asyncio.sleep(0.05)
    signals.away, away.connected = False, True
    await task
    assert desk.messages == ["x"]


async def test_an_answer_that_is_none_ends_the_report(bus, outbox):
    async def nonsense(_body):
        return b"{"

    say(outbox, "x")
    async with bus.signals.serve(step_subject(RUN, StepTalk.REPORT), nonsense, group="run-worker"):
        with pytest.raises(MalformedMessageError, match="not a Receipt"):
            await reporting(Bus(bus), outbox).run()


def test_a_batch_is_cut_so_that_each_part_fits_one_message():
    big, small = b"x" * (LARGEST_EVENT // 2 + 1), b"y"
    batch = [Message("s", body, f"{RUN}:1:{n}") for n, body in enumerate([small, big, big, small, small])]
    assert [len(part) for part in parts(batch)] == [2, 3]
    assert [len(part) for part in parts([Message("s", small, "1")] * 1001)] == [500, 500, 1]
    assert list(parts([])) == []


# --- the first word ---------------------------------------------------------------------------------------------


def approach(seconds=60.0):
    return Approach(RUN, StepName("load", 1, "a" * 32), Absence(seconds))


async def test_the_hand_written_question_is_the_message(bus):
    heard = []

    async def answer(body):
        heard.append(Hello.model_validate_json(body))
        return Greeting(produced={"start": ["a"]}).model_dump_json().encode()

    one = approach()
    async with bus.signals.serve(step_subject(RUN, StepTalk.HELLO), answer, group="run-worker"):
        assert await one.claim(bus) is Claim.OURS
    assert heard == [WHO]
    assert Greeting.model_validate_json(one.answer).produced == {"start": ["a"]}


async def test_a_step_that_is_refused_is_anothers(bus):
    async def answer(_body):
        return Greeting(refusal="another worker has the step").model_dump_json().encode()

    async with bus.signals.serve(step_subject(RUN, StepTalk.HELLO), answer, group="run-worker"):
        assert await approach().claim(bus) is Claim.ANOTHERS


async def test_a_run_worker_that_is_not_there_means_that_the_run_is_over(bus, monkeypatch):
    monkeypatch.setattr("dagwire.worker.steps.hello._WAIT", timedelta(seconds=0.01))
    assert await approach(0.02).claim(bus) is Claim.OVER


async def test_a_greeting_that_is_none_is_told(bus):
    async def answer(_body):
        return b"[]"

    async with bus.signals.serve(step_subject(RUN, StepTalk.HELLO), answer, group="run-worker"):
        with pytest.raises(MalformedMessageError, match="not readable"):
            await approach().claim(bus)
