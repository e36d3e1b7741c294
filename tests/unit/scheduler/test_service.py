"""The scheduler as a whole on a bus in memory and a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.events import TickFailed, TickRequested, TickSkipped
from dagwire_shared.ids import run_id_for, schedule_id_for, tick_key
from dagwire_shared.locations import CodeServerError, LocationTimeoutError, LocationUnavailableError, Status
from dagwire_shared.records import CodeLocation, ScheduleCursor, cursor_key, location_key
from support.codeservers import a_schedule
from support.scheduling import NIGHTLY, START, CrashingBus, FakeLease, FakeLocations, Stage, settle, switchings

HOURLY = a_schedule(cron="0 * * * *")
HALF_PAST = a_schedule(cron="30 * * * *")


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, minute, second, tzinfo=UTC)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        yield stage


async def nominals(stage: Stage, kind: type = TickRequested) -> list[datetime]:
    return [tick.nominal_time for tick in await stage.ticks() if isinstance(tick, kind)]


async def test_a_due_tick_becomes_one_request_one_event_and_a_cursor(stage):
    locations = FakeLocations(HOURLY)
    await stage.start(locations)
    await stage.clock.to(at(13))
    (request,) = await stage.requests()
    assert request.key == tick_key(NIGHTLY, at(13))
    (tick,) = await stage.ticks()
    assert tick.run_ids == [run_id_for(request.key)]
    cursor = await stage.cursor()
    assert (cursor.evaluated_through, cursor.begun) == (at(13), None)
    assert locations.evaluations == [("nightly", at(13))]


async def test_every_tick_of_a_day_is_requested_once_in_order(stage):
    await stage.start(FakeLocations(HOURLY))
    await stage.clock.by(hours=10)
    assert await nominals(stage) == [at(hour) for hour in range(13, 23)]
    assert len({request.key for request in await stage.requests()}) == 10


async def test_nothing_fires_before_a_schedule_was_first_seen(stage):
    await stage.start(FakeLocations(a_schedule(cron="0 * * * *", catch_up=pb.CATCH_UP_ALL)))
    assert await stage.requests() == []
    assert (await stage.cursor()).evaluated_through == START


async def test_two_replicas_make_one_request_and_one_event_per_tick(stage):
    first, second = FakeLocations(HOURLY), FakeLocations(HOURLY)
    await stage.start(first, FakeLease(held=True))
    await stage.start(second, FakeLease(held=False))
    await stage.clock.by(hours=5)
    assert await nominals(stage) == [at(hour) for hour in range(13, 18)]
    assert len(await stage.requests()) == 5
    assert len(first.evaluations) == 5
    assert second.evaluations == []


async def test_two_replicas_that_both_believe_to_act_make_one_request_and_one_event_per_tick(stage):
    for _ in range(2):
        await stage.start(FakeLocations(HOURLY), FakeLease(held=True))
    await stage.clock.by(hours=5)
    assert await nominals(stage) == [at(hour) for hour in range(13, 18)]
    assert len(await stage.requests()) == 5


async def test_without_any_lease_ticks_fire_after_the_grace(stage):
    locations = FakeLocations(HOURLY)
    await stage.start(locations, FakeLease(held=False))
    await stage.clock.by(seconds=5)  # the grace for noting the schedule itself
    await stage.clock.to(at(13) + stage.policy.standby - timedelta(milliseconds=1))
    assert await stage.requests() == []
    await stage.clock.by(seconds=1)
    assert len(await stage.requests()) == 1


async def test_a_replica_that_gains_the_lease_does_at_once_what_is_due(stage):
    lease = FakeLease(held=False)
    await stage.start(FakeLocations(HOURLY), lease)
    await stage.clock.to(at(13))
    lease.give()
    await settle()
    assert len(await stage.requests()) == 1


async def never(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
    """Answer never."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_replica_that_dies_while_it_evaluates_is_replaced_by_the_other(stage):
    acting = await stage.start(FakeLocations(HOURLY, evaluate=never), FakeLease(held=True))
    lease = FakeLease(held=False)
    await stage.start(FakeLocations(HOURLY), lease)
    await stage.clock.to(at(13, 0, 5))
    assert (await stage.cursor()).begun == at(13)
    acting.cancel()
    assert await stage.requests() == []
    lease.give()
    await settle()
    assert await nominals(stage) == [at(13)]


async def test_a_replica_that_hangs_is_overtaken_even_if_it_keeps_the_lease(stage):
    await stage.start(FakeLocations(HOURLY, evaluate=never), FakeLease(held=True))
    await stage.start(FakeLocations(HOURLY), FakeLease(held=False))
    await stage.clock.to(at(13) + stage.policy.patience)
    assert await nominals(stage) == [at(13)]


# --- switches ------------------------------------------------------------------------------------------------------


async def test_switched_off_stops_at_once_and_on_again_begins_with_the_next_tick(stage):
    await stage.start(FakeLocations(a_schedule(cron="0 * * * *", catch_up=pb.CATCH_UP_ALL)))
    await stage.clock.to(at(13, 59, 59))
    await stage.switch("stopped")
    await stage.clock.to(at(17, 30))
    await stage.switch("running")
    await stage.clock.to(at(18, 30))
    assert await nominals(stage) == [at(13), at(18)]


async def test_a_schedule_that_its_code_stops_runs_when_switched_on(stage):
    await stage.start(FakeLocations(a_schedule(cron="0 * * * *", default_running=False)))
    await stage.clock.to(at(13, 30))
    assert await stage.requests() == []
    await stage.switch("running")
    await stage.clock.to(at(14, 30))
    assert await nominals(stage) == [at(14)]


async def test_switching_off_during_an_evaluation_requests_nothing(stage):
    locations = FakeLocations(HOURLY, evaluate=never)
    await stage.start(locations)
    await stage.clock.to(at(13))
    assert locations.evaluations == [("nightly", at(13))]
    await stage.switch("stopped")
    assert (await stage.cursor()).active is False
    assert await stage.requests() == []
    assert await stage.ticks() == []


async def test_starting_what_runs_already_loses_no_tick(stage):
    locations = FakeLocations(HOURLY)
    await stage.start(locations)
    locations.go_away()
    await stage.clock.to(at(13, 10))
    await stage.switch("running")
    locations.come_back()
    await settle()
    assert await nominals(stage) == [at(13)]


async def test_a_switch_that_is_deleted_leaves_the_decision_to_the_code(stage):
    await stage.start(FakeLocations(HOURLY))
    await stage.switch("stopped")
    await stage.bus.state.delete(f"switch.{NIGHTLY}")
    await settle()
    await stage.clock.to(at(13))
    assert await nominals(stage) == [at(13)]


async def test_each_switch_is_recorded_once_over_restarts_and_replicas(stage):
    await stage.start(FakeLocations(HOURLY), FakeLease())
    task = await stage.start(FakeLocations(HOURLY), FakeLease(held=False))
    await stage.switch("stopped")
    await stage.clock.by(hours=1)
    task.cancel()
    await stage.start(FakeLocations(HOURLY))
    await stage.clock.by(hours=1)
    await stage.switch("running")
    found = await switchings(stage.bus)
    assert [(one.status, one.by, one.schedule) for one in found] == [
        ("stopped", "ada", "nightly"),
        ("running", "ada", "nightly"),
    ]


# --- definitions ---------------------------------------------------------------------------------------------------


async def test_editing_the_cron_fires_no_old_tick(stage):
    locations = FakeLocations(HOURLY)
    await stage.start(locations)
    await stage.clock.to(at(13, 45))
    locations.define(HALF_PAST)
    await settle()
    await stage.clock.to(at(14, 45))
    locations.define(HOURLY)
    await stage.clock.to(at(15, 10))
    assert await nominals(stage) == [at(13), at(14, 30), at(15)]
    assert await nominals(stage, TickSkipped) == []


async def test_editing_something_else_than_the_cron_leaves_the_ticks_alone(stage):
    locations = FakeLocations(HOURLY)
    await stage.start(locations)
    await stage.clock.to(at(13, 45))
    locations.define(a_schedule(cron="0 * * * *", tags={"new": "1"}))
    await settle()
    await stage.clock.to(at(14))
    assert await nominals(stage) == [at(13), at(14)]


async def test_a_schedule_removed_from_the_code_stops_and_begins_anew_when_it_is_back(stage):
    locations = FakeLocations(a_schedule(cron="0 * * * *", catch_up=pb.CATCH_UP_ALL))
    await stage.start(locations)
    await stage.clock.to(at(13, 30))
    locations.define()
    await stage.clock.to(at(16, 30))
    locations.define(a_schedule(cron="0 * * * *", catch_up=pb.CATCH_UP_ALL))
    await stage.clock.to(at(17, 30))
    assert await nominals(stage) == [at(13), at(17)]
    assert await nominals(stage, TickSkipped) == []


async def test_a_schedule_removed_while_no_scheduler_ran_does_not_catch_up_when_it_is_back(stage):
    everything = a_schedule(cron="0 * * * *", catch_up=pb.CATCH_UP_ALL)
    task = await stage.start(FakeLocations(everything))
    await stage.clock.to(at(13, 30))
    task.cancel()
    locations = FakeLocations()
    await stage.start(locations)
    await stage.clock.to(at(16, 30))
    locations.define(everything)
    await stage.clock.to(at(17, 30))
    assert await nominals(stage) == [at(13), at(17)]


async def test_a_tick_in_hand_when_its_rule_is_edited_is_finished(stage):
    release = asyncio.Event()

    async def slow(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        await release.wait()
        return pb.EvaluateScheduleResponse(run_requests=[pb.RunRequest(job="etl")])

    locations = FakeLocations(HOURLY, evaluate=slow)
    await stage.start(locations)
    await stage.clock.to(at(13))
    locations.define(HALF_PAST)
    await settle()
    release.set()
    await stage.clock.to(at(13, 30))
    assert await nominals(stage) == [at(13), at(13, 30)]


async def test_replicas_with_different_definitions_do_not_chase_each_other(stage):
    await stage.start(FakeLocations(HOURLY), FakeLease(held=True))
    await stage.start(FakeLocations(HALF_PAST), FakeLease(held=False))
    await stage.clock.by(minutes=10)
    entry = await stage.bus.state.get(cursor_key(NIGHTLY))
    assert entry.revision < 60, "at most one word of each replica per half minute, and the clock comparisons"


async def test_a_replica_whose_definitions_are_stale_does_not_bring_an_old_rule_back(stage):
    old, new = FakeLocations(HOURLY), FakeLocations(HOURLY)
    await stage.start(old, FakeLease(held=True))
    await stage.start(new, FakeLease(held=False))
    old.go_away()
    new.define(HALF_PAST)
    await stage.clock.to(at(14, 45))
    assert (await stage.cursor()).cron_schedules == ["30 * * * *"]
    assert await nominals(stage) == [at(13, 30), at(14, 30)]


# --- code servers --------------------------------------------------------------------------------------------------


async def test_a_tick_waits_for_its_code_server_and_fires_when_it_is_back(stage):
    locations = FakeLocations(a_schedule(cron="0 13 * * *", catch_up=pb.CATCH_UP_SKIP))
    await stage.start(locations)
    locations.go_away()
    await stage.clock.to(at(20))
    assert locations.evaluations == []
    locations.come_back()
    await settle()
    assert await nominals(stage) == [at(13)]


async def test_a_tick_in_wait_for_its_code_server_survives_a_restart_under_every_policy(stage):
    locations = FakeLocations(a_schedule(cron="0 13 * * *", catch_up=pb.CATCH_UP_SKIP))
    task = await stage.start(locations)
    locations.go_away(Status.FAILED)
    await stage.clock.to(at(14))
    task.cancel()
    await stage.clock.to(at(15))
    await stage.start(FakeLocations(a_schedule(cron="0 13 * * *", catch_up=pb.CATCH_UP_SKIP)))
    assert await nominals(stage) == [at(13)]


async def test_a_server_that_does_not_answer_is_asked_again_until_it_does(stage):
    async def away(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        raise LocationUnavailableError("connection refused")

    locations = FakeLocations(HOURLY, evaluate=away)
    answer = FakeLocations().evaluate
    await stage.start(locations)
    await stage.clock.to(at(13, 20))
    assert 30 < len(locations.evaluations) < 60, "about every half minute"
    assert await stage.ticks() == []
    locations.evaluate = answer
    await stage.clock.by(seconds=31)
    assert await nominals(stage) == [at(13)]


async def test_a_change_of_the_location_ends_the_pause_between_two_tries(stage):
    async def away(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        raise LocationUnavailableError("connection refused")

    locations = FakeLocations(HOURLY, evaluate=away)
    answer = FakeLocations().evaluate
    await stage.start(locations)
    await stage.clock.to(at(13, 20))
    locations.evaluate = answer
    locations.come_back()
    await settle()
    assert await nominals(stage) == [at(13)]


@pytest.mark.parametrize("fault", [LocationTimeoutError("took 60 s"), CodeServerError("broke")])
async def test_a_function_that_never_answers_fails_the_tick_after_three_tries(stage, fault):
    async def faulty(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        raise fault

    locations = FakeLocations(HOURLY, evaluate=faulty)
    await stage.start(locations)
    await stage.clock.to(at(13, 5))
    (tick,) = await stage.ticks()
    assert isinstance(tick, TickFailed)
    assert (tick.error.type, tick.error.message) == (type(fault).__name__, str(fault))
    assert len(locations.evaluations) == 3


async def test_what_user_code_raises_fails_the_tick_and_the_next_one_comes(stage):
    async def once(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        if scheduled_time == at(13):
            return pb.EvaluateScheduleResponse(error=pb.Error(type="ValueError", message="no data"))
        return pb.EvaluateScheduleResponse(skip_reason="nothing to do")

    await stage.start(FakeLocations(HOURLY, evaluate=once))
    await stage.clock.to(at(14))
    failed, skipped = await stage.ticks()
    assert failed.error.message == "no data"
    assert (skipped.reason, skipped.missed) == ("nothing to do", False)
    assert await stage.requests() == []


async def test_one_tick_is_in_hand_per_schedule_and_others_are_not_delayed(stage):
    release = asyncio.Event()

    async def slow(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        if schedule == "nightly":
            await release.wait()
        return pb.EvaluateScheduleResponse(run_requests=[pb.RunRequest(job="etl")])

    locations = FakeLocations(HOURLY, a_schedule("other", "0 * * * *"), evaluate=slow)
    await stage.start(locations)
    await stage.clock.to(at(15))
    assert locations.evaluations.count(("nightly", at(13))) == 1
    assert await nominals(stage) == []
    others = await stage.ticks(schedule_id_for("code", "main", "other"))
    assert [tick.nominal_time for tick in others] == [at(13), at(14), at(15)]
    release.set()
    await settle()
    assert await nominals(stage) == [at(13), at(15)]
    assert await nominals(stage, TickSkipped) == [at(14)]


async def test_a_broken_answer_of_one_schedule_leaves_the_others_alone(stage):
    async def mixed(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        if schedule == "nightly":
            raise RuntimeError("a fault of ours")
        return pb.EvaluateScheduleResponse(run_requests=[pb.RunRequest(job="etl")])

    await stage.start(FakeLocations(HOURLY, a_schedule("other", "0 * * * *"), evaluate=mixed))
    await stage.clock.to(at(15))
    assert len(await stage.requests()) == 3


# --- crashes and down-times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "fired", "skipped"),
    [
        (pb.CATCH_UP_SKIP, [], [14, 15, 16]),
        (pb.CATCH_UP_LATEST, [16], [14, 15]),
        (pb.CATCH_UP_ALL, [14, 15, 16], []),
    ],
)
async def test_after_a_down_time_the_catch_up_policy_decides(stage, policy, fired, skipped):
    schedule = a_schedule(cron="0 * * * *", catch_up=policy)
    task = await stage.start(FakeLocations(schedule))
    await stage.clock.to(at(13, 30))
    task.cancel()
    await stage.clock.to(at(16, 30))
    await stage.start(FakeLocations(schedule))
    assert await nominals(stage) == [at(13), *(at(hour) for hour in fired)]
    assert await nominals(stage, TickSkipped) == [at(hour) for hour in skipped]
    assert all(tick.missed for tick in await stage.ticks() if isinstance(tick, TickSkipped))
    await stage.clock.to(at(17))
    assert (await nominals(stage))[-1] == at(17)


@pytest.mark.parametrize("kept", ["nothing", "begun", "request", "event"])
@pytest.mark.parametrize("policy", [pb.CATCH_UP_SKIP, pb.CATCH_UP_LATEST, pb.CATCH_UP_ALL])
@pytest.mark.parametrize("down", [timedelta(seconds=1), timedelta(minutes=50)])
async def test_a_crash_between_any_two_steps_makes_one_request(stage, kept, policy, down):
    schedule = a_schedule(cron="0 * * * *", catch_up=policy)
    steps = ["nothing", "begun", "request", "event"]
    task = await stage.start(
        FakeLocations(schedule), bus=CrashingBus(stage.bus, stage.clock, at=at(13), after=steps.index(kept))
    )
    await stage.clock.to(at(13))
    task.cancel()
    await stage.clock.by(seconds=down.total_seconds())
    await stage.start(FakeLocations(schedule))
    missed = kept == "nothing" and policy == pb.CATCH_UP_SKIP and down > timedelta(minutes=1)
    assert await nominals(stage) == ([] if missed else [at(13)])
    assert await nominals(stage, TickSkipped) == ([at(13)] if missed else [])
    assert len(await stage.requests()) == (0 if missed else 1)
    assert (await stage.cursor()).evaluated_through == at(13)


async def test_a_tick_waits_for_the_bus_and_fires_when_it_is_back(stage):
    await stage.start(FakeLocations(HOURLY))
    await stage.clock.to(at(12, 59))
    stage.broker.online = False
    await stage.clock.to(at(13, 2))
    stage.broker.online = True
    await settle()
    await stage.clock.by(minutes=1)
    assert await nominals(stage) == [at(13)]
    assert len(await stage.requests()) == 1


async def test_an_unreadable_cursor_begins_the_schedule_anew(stage):
    await stage.bus.state.put(cursor_key(NIGHTLY), b"{nonsense")
    await stage.start(FakeLocations(HOURLY))
    await stage.clock.to(at(13))
    assert await nominals(stage) == [at(13)]


async def test_a_cursor_of_an_older_version_goes_on_without_firing_the_past(stage):
    old = ScheduleCursor(evaluated_through=at(9))
    await stage.bus.state.put(cursor_key(NIGHTLY), old.model_dump_json().encode())
    await stage.start(FakeLocations(HOURLY))
    await stage.clock.to(at(13))
    assert await nominals(stage) == [at(13)]


# --- the clock -----------------------------------------------------------------------------------------------------


async def test_a_clock_put_back_fires_no_tick_twice(stage):
    await stage.start(FakeLocations(HOURLY))
    await stage.clock.to(at(13, 5))
    await stage.clock.jump(minutes=-10)
    await stage.clock.to(at(14, 5))
    assert await nominals(stage) == [at(13), at(14)]
    assert len(await stage.requests()) == 2


async def test_a_machine_that_slept_wakes_to_its_missed_ticks(stage):
    await stage.start(FakeLocations(HOURLY))
    await stage.clock.to(at(13, 5))
    await stage.clock.jump(hours=3)
    assert await nominals(stage) == [at(13), at(16)]
    assert await nominals(stage, TickSkipped) == [at(14), at(15)]


async def test_schedules_by_the_second_are_possible(stage):
    await stage.start(FakeLocations(a_schedule(cron="*/10 * * * * *")))
    await stage.clock.by(minutes=1)
    assert await nominals(stage) == [START + timedelta(seconds=second) for second in range(10, 61, 10)]


async def test_midnight_of_a_zone_is_its_own(stage):
    await stage.start(FakeLocations(a_schedule(cron="@daily", execution_timezone="Asia/Tokyo")))
    await stage.clock.to(at(15))
    assert await nominals(stage) == [at(15)]


# --- code locations ------------------------------------------------------------------------------------------------


async def test_a_loaded_location_is_recorded_for_the_launcher(stage):
    await stage.start(FakeLocations(HOURLY))
    entry = await stage.bus.state.get(location_key("code"))
    record = CodeLocation.model_validate_json(entry.value)
    assert record.definitions_hash == "v1"
    assert record.pointer.python_file == "/code/repo.py"
    assert record.pointer.attribute is None
    assert record.repositories == {"main": ["etl"]}


async def test_a_location_is_recorded_again_only_when_its_definitions_change(stage):
    locations = FakeLocations(HOURLY)
    await stage.start(locations)
    first = await stage.bus.state.get(location_key("code"))
    locations.go_away()
    await settle()
    locations.come_back()
    await settle()
    await stage.start(FakeLocations(HOURLY), FakeLease(held=False))
    assert await stage.bus.state.get(location_key("code")) == first
    locations.define(HOURLY, jobs=["etl", "report"])
    await settle()
    changed = await stage.bus.state.get(location_key("code"))
    assert CodeLocation.model_validate_json(changed.value).repositories == {"main": ["etl", "report"]}
