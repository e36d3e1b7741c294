"""What runs, steps, ticks and assets are, given their events in any order and any number of times."""

from datetime import timedelta

import pytest
from dagwire_eventstore.batch import Fact
from dagwire_eventstore.projections import CLOSED, Asset, Run, Step, Tick
from dagwire_eventstore.views import Views
from dagwire_shared import events
from dagwire_shared.events import Event, FailureCause
from dagwire_shared.ids import run_id_for, schedule_id_for
from hypothesis import given
from hypothesis import strategies as st
from support.eventstore import NOON

RUN = run_id_for("run")
SCHEDULE = schedule_id_for("weather", "weather", "daily")
ERROR = events.ErrorInfo(type="ValueError", message="bad row")
BY = events.RequestedBy(kind="api", name="ada")

QUEUED = events.RunQueued(
    key="run", location="weather", repository="weather", job="daily", requested_by=BY, requested_at=NOON, priority=3
)
LAUNCHED = events.RunLaunched(backend="process", worker="1")
STARTED = events.RunStarted(worker="w", host="h", pid=1)
PLANNED = events.RunPlanned(
    executor="in_process",
    steps=[events.PlannedStep(key="load"), events.PlannedStep(key="save", depends_on=["load"])],
    run_config={"a": 1},
)
CANCELING = events.RunCanceling(requested_by=BY)
SUCCEEDED = events.RunSucceeded(seconds=1)
FAILED = events.RunFailed(cause=FailureCause.STEP_FAILED, message="1 step failed", error=ERROR, seconds=1)
CANCELED = events.RunCanceled(message="asked to", seconds=1)
LOST = events.RunLost(cause=FailureCause.WORKER_LOST, message="its worker is gone")
DROPPED = events.RunDropped(requested_by=BY)
LOAD_STARTED = events.StepStarted(step_key="load", pid=1)
LOAD_SUCCEEDED = events.StepSucceeded(step_key="load", seconds=2)
LOAD_FAILED = events.StepFailed(step_key="load", error=ERROR, seconds=3)
SAVE_SKIPPED = events.StepSkipped(step_key="save", reason="load failed")
MADE = events.AssetMaterialized(step_key="load", asset_key=["weather"], description="first")
LINE = events.LogWritten(level="INFO", message="x")

ENDS = [SUCCEEDED, FAILED, CANCELED, LOST, DROPPED]
STATUS_AT_END = ["SUCCESS", "FAILURE", "CANCELED", "FAILURE", "CANCELED"]
ANY_RUN_EVENT = [
    QUEUED,
    QUEUED.model_copy(update={"job": "another", "priority": 9}),
    LAUNCHED,
    STARTED,
    PLANNED,
    PLANNED.model_copy(update={"executor": "multiprocess", "steps": PLANNED.steps[::-1]}),
    CANCELING,
    *ENDS,
    LOAD_STARTED,
    LOAD_SUCCEEDED,
    LOAD_FAILED,
    SAVE_SKIPPED,
    MADE,
    MADE.model_copy(update={"description": "second"}),
    LINE,
]
ORDER = ["QUEUED", "STARTING", "STARTED", "CANCELING"]


def facts(*stream: Event, aggregate: str = RUN, epoch: int = 1) -> list[Fact]:
    """The events as they stand in a stream, a second apart."""
    return [
        Fact(epoch, number, aggregate, NOON + timedelta(seconds=number), event)
        for number, event in enumerate(stream, start=1)
    ]


def applied(*some: Fact) -> Views:
    views = Views()
    for fact in some:
        views.apply(fact)
    return views


def run_of(*stream: Event) -> Run:
    return applied(*facts(*stream)).runs[RUN]


def step_of(key: str, *stream: Event) -> Step:
    return applied(*facts(*stream)).steps[RUN, key]


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_goes_through_its_statuses():
    stream = [QUEUED, LAUNCHED, STARTED, PLANNED, SUCCEEDED]
    seen = [run_of(*stream[:length]).status for length in range(1, 6)]
    assert seen == ["QUEUED", "STARTING", "STARTED", "STARTED", "SUCCESS"]


def test_a_run_remembers_what_was_asked_and_when_what_happened():
    run = run_of(QUEUED, LAUNCHED, STARTED, PLANNED, FAILED)
    assert (run.location, run.repository, run.job, run.key, run.priority) == ("weather", "weather", "daily", "run", 3)
    assert run.requested_by == {"kind": "api", "name": "ada"}
    assert (run.executor, run.resolved_config) == ("in_process", {"a": 1})
    assert [(at - NOON).seconds for at in (run.queued_at, run.launched_at, run.started_at, run.ended_at)] == [
        1,
        2,
        3,
        5,
    ]
    assert (run.requested_at, run.cause, run.message) == (NOON, "step_failed", "1 step failed")
    assert run.error == {"type": "ValueError", "message": "bad row", "stack": [], "cause": None}
    assert (run.epoch, run.seq) == (1, 1)


@pytest.mark.parametrize(("end", "status"), list(zip(ENDS, STATUS_AT_END, strict=True)))
def test_every_way_to_end_is_a_status(end: Event, status: str):
    assert run_of(QUEUED, end).status == status


def test_a_cancel_order_shows_and_a_late_start_does_not_hide_it():
    assert run_of(QUEUED, LAUNCHED, CANCELING, STARTED).status == "CANCELING"


def test_success_that_came_before_the_cancel_order_was_heard_stays_success():
    assert run_of(QUEUED, LAUNCHED, STARTED, SUCCEEDED, CANCELING, DROPPED).status == "SUCCESS"


def test_of_two_ends_the_first_in_the_stream_counts_alone():
    run = run_of(QUEUED, STARTED, LOST, SUCCEEDED)
    assert (run.status, run.cause, run.message) == ("FAILURE", "worker_lost", "its worker is gone")
    assert (run.ended_at - NOON).seconds == 3


def test_a_run_whose_queued_event_comes_late_is_whole_in_the_end():
    early, late = run_of(QUEUED, LAUNCHED, STARTED), run_of(LAUNCHED, STARTED, QUEUED)
    assert (late.status, late.job, late.key) == (early.status, early.job, early.key)
    assert run_of(STARTED).job is None


# --- steps ------------------------------------------------------------------------------------------------------------


def test_a_plan_makes_its_steps_pending_in_their_order():
    steps = applied(*facts(STARTED, PLANNED)).steps.values()
    assert [(step.step_key, step.position, step.depends_on, step.status) for step in steps] == [
        ("load", 0, [], "PENDING"),
        ("save", 1, ["load"], "PENDING"),
    ]


def test_a_step_runs_and_succeeds():
    assert step_of("load", PLANNED, LOAD_STARTED).status == "RUNNING"
    step = step_of("load", PLANNED, LOAD_STARTED, LOAD_SUCCEEDED)
    assert (step.status, step.seconds, (step.ended_at - step.started_at).seconds) == ("SUCCESS", 2, 1)


def test_a_failed_step_has_its_error_and_a_skipped_one_its_reason():
    stream = [PLANNED, LOAD_STARTED, LOAD_FAILED, SAVE_SKIPPED]
    assert step_of("load", *stream).error["message"] == "bad row"
    assert (step_of("save", *stream).status, step_of("save", *stream).reason) == ("SKIPPED", "load failed")


def test_a_step_that_speaks_before_its_plan_keeps_what_it_said():
    step = step_of("load", LOAD_STARTED, LOAD_SUCCEEDED, PLANNED)
    assert (step.status, step.position) == ("SUCCESS", 0)


def test_when_the_run_ends_no_step_stays_open():
    views = applied(*facts(PLANNED, LOAD_STARTED, LOST))
    load, save = views.steps[RUN, "load"], views.steps[RUN, "save"]
    assert (load.status, load.reason) == ("FAILURE", CLOSED)
    assert (save.status, save.reason) == ("SKIPPED", CLOSED)


def test_what_a_step_says_itself_beats_what_was_concluded_from_its_runs_end():
    assert step_of("load", PLANNED, LOAD_STARTED, LOST, LOAD_SUCCEEDED).status == "SUCCESS"
    assert step_of("load", LOST, LOAD_STARTED).status == "FAILURE"
    assert step_of("save", LOST, PLANNED).status == "SKIPPED"


# --- ticks ------------------------------------------------------------------------------------------------------------

OF = {"location": "weather", "repository": "weather", "schedule": "daily", "nominal_time": NOON}
REQUESTED = events.TickRequested(**OF, run_ids=[RUN])
SKIPPED = events.TickSkipped(**OF, reason="holiday")
MISSED = events.TickSkipped(**OF, reason="missed", missed=True)
TICK_FAILED = events.TickFailed(**OF, error=ERROR)
SWITCHED = events.ScheduleSwitched(location="weather", repository="weather", schedule="daily", status="stopped", by="a")


def tick_of(*stream: Event) -> Tick:
    return applied(*facts(*stream, aggregate=SCHEDULE)).ticks[SCHEDULE, NOON]


def test_a_tick_is_what_was_told_of_it():
    assert (tick_of(REQUESTED).status, tick_of(REQUESTED).run_ids) == ("REQUESTED", [RUN])
    assert (tick_of(MISSED).status, tick_of(MISSED).reason, tick_of(MISSED).missed) == ("SKIPPED", "missed", True)
    assert tick_of(TICK_FAILED).error["message"] == "bad row"


def test_a_tick_that_requested_runs_stays_requested():
    for stream in ([TICK_FAILED, REQUESTED, SKIPPED], [REQUESTED, TICK_FAILED], [SKIPPED, REQUESTED]):
        assert tick_of(*stream).status == "REQUESTED"


def test_of_two_like_accounts_of_a_tick_the_first_counts():
    assert tick_of(SKIPPED, MISSED).reason == "holiday"


def test_a_switch_is_no_tick():
    assert not applied(*facts(SWITCHED, aggregate=SCHEDULE)).ticks


# --- assets -----------------------------------------------------------------------------------------------------------


def test_an_asset_is_its_newest_materialization():
    later = MADE.model_copy(update={"description": "second", "metadata": {"n": events.Metadata(kind="int", value=3)}})
    asset: Asset = applied(*facts(MADE, later)).assets[("weather",)]
    assert (asset.description, asset.metadata, asset.seq) == ("second", {"n": {"kind": "int", "value": 3}}, 2)


# --- any order, any number of times -----------------------------------------------------------------------------------


def _seen(views: Views) -> tuple[object, ...]:
    return views.runs, views.steps, views.ticks, views.assets


@given(stream=st.lists(st.sampled_from(ANY_RUN_EVENT), max_size=14), data=st.data())
def test_neither_order_nor_repetition_of_application_changes_what_a_run_is(stream: list[Event], data: st.DataObject):
    in_order = facts(*stream)
    again = data.draw(st.lists(st.sampled_from(in_order), max_size=6)) if in_order else []
    shuffled = data.draw(st.permutations([*in_order, *again]))
    assert _seen(applied(*shuffled)) == _seen(applied(*in_order))


@given(
    stream=st.lists(st.sampled_from([REQUESTED, SKIPPED, MISSED, TICK_FAILED, SWITCHED]), max_size=6), data=st.data()
)
def test_neither_order_nor_repetition_of_application_changes_what_a_tick_is(stream: list[Event], data: st.DataObject):
    in_order = facts(*stream, aggregate=SCHEDULE)
    shuffled = data.draw(st.permutations(in_order + in_order))
    assert _seen(applied(*shuffled)) == _seen(applied(*in_order))


@given(stream=st.lists(st.sampled_from(ANY_RUN_EVENT), max_size=14))
def test_a_status_only_moves_forward_and_the_first_end_stands(stream: list[Event]):
    views, before = Views(), -1
    for fact in facts(*stream):
        views.apply(fact)
        if RUN in views.runs:
            status = views.runs[RUN].status
            now = ORDER.index(status) if status in ORDER else len(ORDER)
            assert now >= before
            before = now
    ends = [event for event in stream if event in ENDS]
    if ends:
        assert views.runs[RUN].status == STATUS_AT_END[ENDS.index(ends[0])]
        assert views.runs[RUN].ended_at == NOON + timedelta(seconds=stream.index(ends[0]) + 1)
        assert all(step.status not in {"PENDING", "RUNNING"} for step in views.steps.values())
    elif RUN in views.runs:
        assert views.runs[RUN].ended_at is None


@given(data=st.data())
def test_events_of_several_runs_do_not_mix(data: st.DataObject):
    streams = {run_id_for(name): [QUEUED, STARTED, PLANNED, LOAD_STARTED, SUCCEEDED] for name in "abc"}
    everything = [fact for run_id, stream in streams.items() for fact in facts(*stream, aggregate=run_id)]
    together = applied(*data.draw(st.permutations(everything)))
    for run_id, stream in streams.items():
        alone = applied(*facts(*stream, aggregate=run_id))
        assert together.runs[run_id] == alone.runs[run_id]
        assert together.steps[run_id, "load"] == alone.steps[run_id, "load"]
