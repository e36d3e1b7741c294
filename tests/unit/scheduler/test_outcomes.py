"""What an answer of user code comes to: requests with stable keys, or a failure that says what to change."""

from datetime import UTC, datetime

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_scheduler.outcomes import Outcome, outcome_of
from dagwire_scheduler.schedules import Schedule, schedules_of
from dagwire_shared.events import TickFailed, TickRequested, TickSkipped
from dagwire_shared.ids import run_id_for, tick_key
from dagwire_shared.locations import Location, Status
from support.codeservers import a_schedule

NOMINAL = datetime(2026, 1, 1, 2, tzinfo=UTC)
Answer = pb.EvaluateScheduleResponse


def the_schedule(**fields: object) -> Schedule:
    etl = pb.Job(
        name="etl", tags={"team": "data", "from": "job"}, presets=[pb.Preset(name="full", tags={"from": "preset"})]
    )
    repository = pb.Repository(name="main", jobs=[etl, pb.Job(name="report")], schedules=[a_schedule(**fields)])
    location = Location(name="code", host="h", port=1, status=Status.LOADED, repositories={"main": repository})
    (schedule,) = schedules_of(location).values()
    return schedule


def outcome(*requests: pb.RunRequest, schedule: Schedule | None = None, **fields: object) -> Outcome:
    return outcome_of(schedule or the_schedule(), NOMINAL, Answer(run_requests=requests, **fields))


def message_of(found: Outcome) -> str:
    assert isinstance(found.event, TickFailed)
    assert not found.requests
    return found.event.error.message


def test_one_run_has_the_key_of_the_tick():
    schedule = the_schedule()
    found = outcome(pb.RunRequest(run_config_json='{"ops": {}}'), schedule=schedule)
    (request,) = found.requests
    assert request.key == tick_key(schedule.identity.id, NOMINAL)
    assert request.key_time == NOMINAL
    assert (request.location, request.repository, request.job) == ("code", "main", "etl")
    assert request.run_config == {"ops": {}}
    assert (request.requested_by.kind, request.requested_by.name) == ("schedule", "nightly")
    assert found.event == TickRequested(
        location="code",
        repository="main",
        schedule="nightly",
        nominal_time=NOMINAL,
        run_ids=[run_id_for(request.key)],
    )


def test_tags_come_from_job_preset_schedule_and_request_in_this_order():
    schedule = the_schedule(preset="full", tags={"from": "schedule", "kept": "1"})
    (request,) = outcome(pb.RunRequest(tags={"from": "request"}), schedule=schedule).requests
    assert request.preset == "full"
    assert request.tags == {
        "team": "data",
        "kept": "1",
        "from": "request",
        "dagwire/schedule_name": "nightly",
        "dagwire/scheduled_time": "2026-01-01T02:00:00Z",
    }


def test_another_job_of_the_repository_may_be_asked_for_without_the_schedules_preset():
    (request,) = outcome(pb.RunRequest(job="report"), schedule=the_schedule(preset="full")).requests
    assert (request.job, request.preset) == ("report", None)


def test_several_runs_of_one_tick_have_keys_of_their_own():
    schedule = the_schedule()
    found = outcome(pb.RunRequest(run_key="a"), pb.RunRequest(run_key="b"), schedule=schedule)
    assert [one.key for one in found.requests] == [tick_key(schedule.identity.id, NOMINAL, key) for key in "ab"]
    assert [one.tags["dagwire/run_key"] for one in found.requests] == ["a", "b"]
    assert len(set(found.event.run_ids)) == 2


def test_a_skip_reason_is_recorded():
    found = outcome(skip_reason="it is a holiday")
    assert isinstance(found.event, TickSkipped)
    assert (found.event.reason, found.event.missed) == ("it is a holiday", False)


def test_no_request_and_no_reason_is_a_skip_too():
    found = outcome()
    assert isinstance(found.event, TickSkipped)
    assert found.event.reason == "the schedule asked for no run"


def test_what_user_code_raised_fails_the_tick():
    cause = pb.Error(type="KeyError", message="'x'")
    found = outcome(error=pb.Error(type="ValueError", message="no data", stack=["line 1"], cause=cause))
    assert isinstance(found.event, TickFailed)
    assert (found.event.error.type, found.event.error.message, found.event.error.stack) == (
        "ValueError",
        "no data",
        ["line 1"],
    )
    assert found.event.error.cause.type == "KeyError"


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        ([pb.RunRequest(job="ettl")], "did you mean 'etl'?"),
        ([pb.RunRequest(job="zzz")], "it has etl, report"),
        ([pb.RunRequest(preset="ful")], "did you mean 'full'?"),
        ([pb.RunRequest(job="report", preset="x")], "it has none"),
        ([pb.RunRequest(run_config_json="{")], "not JSON"),
        ([pb.RunRequest(run_config_json="[1]")], "not a mapping but list"),
        ([pb.RunRequest(), pb.RunRequest()], "number 1 has no run_key"),
        ([pb.RunRequest(run_key="a"), pb.RunRequest()], "number 2 has no run_key"),
        ([pb.RunRequest(run_key="a"), pb.RunRequest(run_key="a")], "two runs with the run_key 'a'"),
        ([pb.RunRequest(run_key="x" * 600)], "key"),
        ([pb.RunRequest(tags={"x": "y" * 300})], "tags"),
    ],
)
def test_an_answer_that_cannot_be_carried_out_fails_the_tick_and_says_why(requests, says):
    assert says in message_of(outcome(*requests))


def test_requests_and_a_skip_reason_together_fail_the_tick():
    assert "give one of them" in message_of(outcome(pb.RunRequest(), skip_reason="no"))


def test_a_preset_of_the_schedule_that_is_gone_fails_the_tick():
    assert "preset 'gone'" in message_of(outcome(pb.RunRequest(), schedule=the_schedule(preset="gone")))
