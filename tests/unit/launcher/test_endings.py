"""When a worker's time is up, and what the end of a worker means for its run."""

from datetime import UTC, datetime, timedelta

import pytest
from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.endings import Act, Attention, Doubt, Limits, attend, verdict
from dagwire_launcher.facts import Facts, Said
from dagwire_shared.events import (
    FailureCause,
    RequestedBy,
    RunCanceled,
    RunCanceling,
    RunDropped,
    RunFailed,
    RunLaunched,
    RunLost,
    RunPlanned,
    RunStarted,
    RunSucceeded,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMITS = Limits(
    start=timedelta(seconds=300),
    cancel=timedelta(seconds=30),
    stop=timedelta(seconds=10),
    leave=timedelta(seconds=60),
    hearsay=timedelta(seconds=5),
)
ADA = RequestedBy(kind="bus", name="ada")
LAUNCHED = RunLaunched(backend="process", worker="7")
CANCELING = RunCanceling(requested_by=ADA)
STARTED = RunStarted(worker="w", host="h", pid=7)
ENDS = [
    RunSucceeded(seconds=1),
    RunFailed(cause="step_failed", message="", seconds=1),
    RunCanceled(message="", seconds=1),
]


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def facts(launch=LAUNCHED, run=None, *, launched=0, ran=1):
    return Facts(
        None if launch is None else Said(launch, 1, at(launched)), None if run is None else Said(run, 2, at(ran))
    )


def look(known, seconds):
    return attend(known, created=NOON, now=at(seconds), limits=LIMITS)


def test_a_run_that_goes_on_is_left_alone_for_ever():
    assert look(facts(run=STARTED), 10_000_000) == Attention(Act.NOTHING, None)
    assert look(facts(run=RunPlanned(executor="in_process", steps=[])), 10_000_000) == Attention(Act.NOTHING, None)


def test_a_worker_that_never_speaks_is_killed_after_the_start_timeout():
    assert look(facts(launched=10), 309) == Attention(Act.NOTHING, at(310))
    assert look(facts(launched=10), 310).act is Act.KILL


def test_before_its_launch_is_recorded_a_worker_is_timed_from_its_creation():
    assert look(facts(launch=None), 299) == Attention(Act.NOTHING, at(300))


def test_a_canceled_run_has_its_grace_then_a_signal_then_no_more():
    known = facts(CANCELING, STARTED, launched=100)
    assert look(known, 129) == Attention(Act.NOTHING, at(130))
    assert look(known, 130) == Attention(Act.STOP, at(140))
    assert look(known, 140).act is Act.KILL


@pytest.mark.parametrize("end", ENDS)
def test_a_process_that_outlives_its_run_is_killed_after_a_while(end):
    known = facts(CANCELING, end, ran=50)
    assert look(known, 109) == Attention(Act.NOTHING, at(110))
    assert look(known, 110).act is Act.KILL


def test_a_worker_of_a_run_that_the_launcher_ended_is_killed_at_once():
    assert look(facts(RunDropped(requested_by=ADA), STARTED), 2).act is Act.KILL


def test_a_canceled_worker_that_is_kept_from_running_is_ended_at_once():
    found = attend(facts(CANCELING), created=NOON, now=at(1), limits=LIMITS, delayed=True)
    assert found == Attention(Act.KILL, None)
    running = attend(facts(CANCELING, STARTED), created=NOON, now=at(1), limits=LIMITS, delayed=True)
    assert running.act is Act.NOTHING


def judge(known, end, *, ended=100.0, now=None, delay=None):
    return verdict(known, end, ended=at(ended), now=at(ended if now is None else now), limits=LIMITS, delay=delay)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("launch", [LAUNCHED, CANCELING])
def test_a_worker_that_told_the_end_needs_no_word(launch, end):
    assert judge(facts(launch, end), WorkerEnd(code=0)) is None
    assert judge(facts(launch, end), WorkerEnd(signal=9)) is None


@pytest.mark.parametrize("launch", [RunDropped(requested_by=ADA), RunLost(cause="worker_lost", message="")])
def test_a_run_that_the_launcher_ended_is_not_ended_again(launch):
    assert judge(facts(launch, STARTED), WorkerEnd(signal=9)) is None


def test_a_worker_whose_run_is_anothers_needs_no_word():
    assert judge(facts(run=STARTED), WorkerEnd(code=75, pid=8)) is None
    assert judge(facts(run=None), WorkerEnd(code=75)) is None
    assert judge(facts(run=STARTED), WorkerEnd(signal=9, pid=8)) is None


def test_a_killed_worker_loses_its_run_and_the_reader_learns_how():
    event = judge(facts(run=STARTED), WorkerEnd(signal=9, pid=7, reason="Nobody knows why."))
    assert event == RunLost(
        cause="worker_lost",
        message="The run worker was killed by SIGKILL before the run's end was told. Nobody knows why.",
    )


def test_a_worker_whose_end_has_a_known_cause_loses_its_run_under_that_cause():
    event = judge(facts(run=STARTED), WorkerEnd(signal=9, cause="out_of_memory", reason="It had 64Mi."))
    assert event == RunLost(
        cause="out_of_memory",
        message="The run worker was killed by SIGKILL before the run's end was told. It had 64Mi.",
    )


def test_a_worker_that_was_kept_from_starting_loses_its_run_with_what_kept_it():
    delay = WorkerDelay(FailureCause.UNSCHEDULABLE, "No node has 1000 CPUs.")
    event = judge(facts(run=None), WorkerEnd(cause="worker_deleted"), ended=301, delay=delay)
    assert event == RunLost(
        cause="unschedulable",
        message="The run worker did not start within 300 seconds and was ended. No node has 1000 CPUs.",
    )


def test_what_kept_a_worker_for_a_while_is_not_why_it_ended_later():
    delay = WorkerDelay(FailureCause.UNSCHEDULABLE, "No node has 1000 CPUs.")
    event = judge(facts(run=STARTED), WorkerEnd(signal=9), ended=900, delay=delay)
    assert event.cause == "worker_lost"


def test_a_worker_that_ends_without_a_word_loses_its_run_with_its_exit_code():
    event = judge(facts(run=None), WorkerEnd(code=3))
    assert isinstance(event, RunLost)
    assert event.message == "The run worker ended with exit code 3 before it took the run."


def test_an_end_that_nobody_saw_is_said_to_be_so():
    event = judge(facts(run=STARTED), WorkerEnd(pid=7), now=105)
    assert isinstance(event, RunLost)
    assert "nobody saw how" in event.message


@pytest.mark.parametrize("end", [WorkerEnd(code=0), WorkerEnd()])
def test_the_last_word_of_a_worker_may_be_on_its_way_for_a_moment(end):
    assert judge(facts(run=STARTED), end, now=104) is Doubt.ASK_AGAIN
    assert isinstance(judge(facts(run=STARTED), end, now=105), RunLost)


def test_a_worker_that_was_killed_for_not_starting_gives_that_cause():
    event = judge(facts(launched=0), WorkerEnd(signal=9), ended=300)
    assert isinstance(event, RunLost)
    assert event.cause == "start_timeout"
    assert "300 seconds" in event.message


def test_a_worker_that_was_killed_for_not_stopping_is_dropped_by_force():
    event = judge(facts(CANCELING, STARTED, launched=60), WorkerEnd(signal=9, pid=7), ended=100)
    assert event == RunDropped(requested_by=ADA, forced=True)


def test_a_canceled_run_whose_worker_never_spoke_is_dropped():
    assert judge(facts(CANCELING, launched=99), WorkerEnd(code=1), ended=100) == RunDropped(requested_by=ADA)


def test_a_worker_that_dies_by_itself_while_it_is_canceled_is_lost():
    event = judge(facts(CANCELING, STARTED, launched=99), WorkerEnd(signal=11, pid=7), ended=100)
    assert isinstance(event, RunLost)
    assert "SIGSEGV" in event.message
