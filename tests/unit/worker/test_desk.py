"""The desk: what a step's worker may do, and that each of its events is taken once and in order."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from dagwire.execute.messages import Assignment
from dagwire.worker.steps.desk import Desk
from dagwire.worker.steps.messages import Hello, Report, report_body
from dagwire_shared.envelope import encode
from dagwire_shared.events import (
    EngineNoted,
    LogWritten,
    OutputProduced,
    RunSucceeded,
    StepFailed,
    StepStarted,
    StepSucceeded,
)
from dagwire_shared.events.values import ErrorInfo
from dagwire_shared.ids import run_id_for

RUN = run_id_for("desk")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
WHO = Hello(step_key="load", attempt=1, worker="a" * 32)
OTHER = Hello(step_key="load", attempt=1, worker="b" * 32)
STARTED = StepStarted(step_key="load", pid=1)
SUCCEEDED = StepSucceeded(step_key="load", seconds=1)


def line(text):
    return LogWritten(level="INFO", message=str(text), step_key="load")


class Run:
    """What the run has taken, and how its steps ended."""

    def __init__(self, room=10_000) -> None:
        self.events, self.times, self.outcomes, self.room = [], [], [], room
        self.desk = Desk(self.offer, clock=lambda: NOW)
        self.post = self.desk.give(Assignment("load", {"start": frozenset({"b", "a"})}), self.outcomes.append)

    def offer(self, event, time=None):
        if len(self.events) >= self.room:
            return False
        self.events.append(event)
        self.times.append(time)
        return True

    def report(self, events=(), *, first=1, done=False, who=WHO, time=NOW):
        return self.desk.take(a_report(events, first=first, done=done, who=who, time=time))


def a_report(events=(), *, first=1, done=False, who=WHO, time=NOW):
    bodies = [encode(one, id=f"{RUN}:1:{n}", source="/test", subject=RUN, time=time) for n, one in enumerate(events)]
    return Report.model_validate_json(report_body(who, first=first, events=bodies, done=done))


@pytest.fixture
def run():
    made = Run()
    made.desk.greet(WHO)
    return made


def test_the_first_worker_that_asks_has_the_step_and_no_other():
    desk = Run().desk
    assert desk.greet(WHO).produced == {"start": ["a", "b"]}
    assert desk.greet(OTHER).refusal == "another worker has the step"
    assert desk.greet(WHO).refusal is None  # the answer was lost
    assert (
        desk.greet(WHO.model_copy(update={"step_key": "other"})).refusal == "the run does not want this step executed"
    )
    assert desk.greet(WHO.model_copy(update={"attempt": 2})).refusal is not None


def test_a_step_ends_with_its_workers_last_word(run):
    assert run.report([STARTED, OutputProduced(step_key="load", output="result")]).taken == 2
    assert run.outcomes == []
    assert run.report([SUCCEEDED], first=3).taken == 3
    assert run.outcomes == []  # its resources may still speak
    assert run.report(first=4, done=True).taken == 3
    assert [(one.status, one.produced) for one in run.outcomes] == [("succeeded", {"result"})]


def test_the_last_word_is_answered_again_and_settles_once(run):
    for _ in range(3):
        receipt = run.report([STARTED, SUCCEEDED], done=True)
        assert (receipt.taken, receipt.refusal) == (2, None)
    assert len(run.outcomes) == 1
    assert run.events == [STARTED, SUCCEEDED]
    assert run.desk.greet(WHO).refusal == "the step has ended"


def test_a_failed_step_keeps_its_error(run):
    error = ErrorInfo(type="ValueError", message="no")
    run.report([STARTED, StepFailed(step_key="load", error=error, seconds=1)], done=True)
    assert (run.outcomes[0].status, run.outcomes[0].error, run.outcomes[0].failed_by) == ("failed", error, "load")


def test_what_comes_after_a_gap_is_not_taken_yet(run):
    assert run.report([line(3)], first=3).taken == 0
    assert run.report([line(1), line(2)]).taken == 2
    assert run.report([line(2), line(3)], first=2).taken == 3
    assert run.events == [line(1), line(2), line(3)]


def test_done_with_a_gap_before_it_ends_nothing(run):
    run.report([STARTED])
    run.report(first=3, done=True)
    assert run.outcomes == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_lost_repeated_or_late_each_event_is_taken_once_and_in_order(seed):
    chance = random.Random(seed)
    run = Run()
    run.desk.greet(WHO)
    events = [STARTED, *(line(n) for n in range(60)), SUCCEEDED]
    late, taken = [], 0
    while not run.outcomes:
        run.room = len(run.events) + chance.choice([0, 1, 5, 100])
        size = chance.choice([0, 1, 3, 10])
        report = a_report(events[taken : taken + size], first=taken + 1, done=taken + size >= len(events) and size > 0)
        late.append(report)
        if chance.random() < 0.3:
            continue  # lost on the way there; perhaps it comes later
        for one in chance.sample(late, min(2, len(late))):
            run.desk.take(one)
        receipt = run.desk.take(report)
        if chance.random() < 0.7:  # else lost on the way back
            taken = max(taken, receipt.taken)
    assert run.events == events
    assert len(run.outcomes) == 1


@pytest.mark.parametrize(
    "event",
    [
        RunSucceeded(seconds=1),
        StepSucceeded(step_key="other", seconds=1),
        LogWritten(level="INFO", message="x", step_key="other"),
    ],
    ids=lambda event: event.TYPE,
)
def test_a_worker_may_say_nothing_but_what_happens_in_its_step(run, event):
    receipt = run.report([STARTED, event, SUCCEEDED], done=True)
    assert receipt.taken == 1
    assert f"the worker of step 'load' may not say {event.TYPE!r}" == receipt.refusal
    assert (run.events, run.outcomes) == ([STARTED], [])


def test_lines_from_the_import_belong_to_no_step(run):
    loose = [LogWritten(level="INFO", message="x"), EngineNoted(message="y")]
    assert run.report(loose).taken == 2


def test_an_event_of_an_unknown_type_is_refused(run):
    report = a_report([line(1)])
    stranger = report.events[0].model_copy(update={"type": "dagwire.step.blessed"})
    receipt = run.desk.take(report.model_copy(update={"events": [stranger]}))
    assert receipt.refusal is not None
    assert run.events == []


def test_a_worker_that_does_not_have_the_step_is_not_heard(run):
    assert run.report([STARTED], who=OTHER).refusal == "another worker has the step"
    assert run.events == []


def test_a_step_that_was_given_up_is_not_heard_any_more(run):
    run.report([STARTED])
    assert run.desk.close(run.post, "its worker has ended")
    assert not run.desk.close(run.post, "again")
    receipt = run.report([SUCCEEDED], first=2, done=True)
    assert (receipt.taken, receipt.refusal) == (1, "its worker has ended")
    assert run.desk.greet(WHO).refusal == "its worker has ended"
    assert run.outcomes == []


def test_a_step_that_is_to_stop_is_told_with_each_answer_and_still_heard(run):
    assert run.desk.ask_to_stop(run.post, "canceled")
    assert run.report([STARTED]).stop == "canceled"
    assert run.report(first=2).stop == "canceled"
    assert run.report([SUCCEEDED], first=2, done=True).taken == 2
    assert run.outcomes[0].status == "succeeded"


def test_a_step_that_nobody_has_cannot_hear_that_it_is_to_stop():
    run = Run()
    assert not run.desk.ask_to_stop(run.post, "canceled")


def test_events_keep_their_time_but_none_lies_in_the_future(run):
    run.report([STARTED], time=NOW - timedelta(seconds=9))
    run.report([line(1)], first=2, time=NOW + timedelta(hours=1))
    assert run.times == [NOW - timedelta(seconds=9), NOW]


def test_what_has_no_room_is_sent_again_later(run):
    run.room = 1
    assert run.report([STARTED, line(1)]).taken == 1
    run.room = 9
    assert run.report([line(1)], first=2).taken == 2
