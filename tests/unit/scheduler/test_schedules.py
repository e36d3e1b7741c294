"""Which schedules a code location has: those that can run."""

import logging

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_scheduler.schedules import schedules_of
from dagwire_scheduler.ticks import CatchUp, Rule
from dagwire_shared.ids import schedule_id_for
from dagwire_shared.locations import Location, Status
from support.codeservers import a_repository, a_schedule


def location(*schedules: pb.Schedule) -> Location:
    return Location(
        name="code", host="h", port=1, status=Status.LOADED, repositories={"main": a_repository(*schedules)}
    )


def test_schedules_are_found_by_their_id():
    two = a_schedule("hourly", ["0 * * * *", "@daily"], execution_timezone="Asia/Tokyo")
    found = schedules_of(location(a_schedule("nightly"), two))
    assert set(found) == {schedule_id_for("code", "main", "nightly"), schedule_id_for("code", "main", "hourly")}
    hourly = found[schedule_id_for("code", "main", "hourly")]
    assert hourly.rule == Rule(("0 * * * *", "@daily"), "Asia/Tokyo")
    assert hourly.identity.name == "hourly"
    assert set(hourly.jobs) == {"etl"}


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        (pb.CATCH_UP_UNSPECIFIED, CatchUp.LATEST),
        (pb.CATCH_UP_SKIP, CatchUp.SKIP),
        (pb.CATCH_UP_LATEST, CatchUp.LATEST),
        (pb.CATCH_UP_ALL, CatchUp.ALL),
    ],
)
def test_every_catch_up_policy_is_understood(value, policy):
    (schedule,) = schedules_of(location(a_schedule(catch_up=value))).values()
    assert schedule.catch_up is policy


@pytest.mark.parametrize(
    "wrong", [a_schedule("bad", "99 * * * *"), a_schedule("bad", execution_timezone="Mars/X"), a_schedule("not a name")]
)
def test_a_schedule_that_cannot_run_is_told_of_and_leaves_the_others_alone(wrong, caplog):
    with caplog.at_level(logging.ERROR):
        found = schedules_of(location(wrong, a_schedule("good")))
    assert [schedule.identity.name for schedule in found.values()] == ["good"]
    assert "schedule cannot run" in caplog.text
