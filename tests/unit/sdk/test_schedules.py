"""Schedules: what they are defined with, and what they ask for at a tick."""

from datetime import UTC, datetime
from typing import Any

import pytest
from dagwire import (
    DefaultScheduleStatus,
    DefinitionError,
    InvocationError,
    Preset,
    RunConfig,
    RunRequest,
    ScheduleDefinition,
    SkipReason,
    build_schedule_context,
    job,
    op,
    schedule,
)


@op
def load(config: int) -> int:
    return config


@job(presets=[Preset("small"), Preset("large")])
def report():
    load()


TICK = build_schedule_context(datetime(2024, 7, 1, 4, 30, tzinfo=UTC))


def asked(function, **options: Any):
    return schedule("30 6 * * *", job=report, **options)(function).evaluate(TICK)


def test_a_schedule_has_what_it_was_given():
    @schedule(
        ["0 6 * * *", "@monthly"],
        job=report,
        execution_timezone="Europe/Berlin",
        default_status=DefaultScheduleStatus.RUNNING,
        preset="small",
        tags={"team": "a"},
        catch_up="all",
    )
    def morning():
        """Every morning."""

    assert (morning.name, morning.description, morning.job_name) == ("morning", "Every morning.", "report")
    assert morning.cron_schedules == ["0 6 * * *", "@monthly"]
    assert morning.execution_timezone == "Europe/Berlin"
    assert morning.default_running
    assert (morning.preset, dict(morning.tags), morning.catch_up) == ("small", {"team": "a"}, "all")


def test_a_schedule_without_more_is_stopped_in_utc_and_fires_the_newest_missed_tick():
    daily = ScheduleDefinition(job=report, cron_schedule="@daily")
    assert (daily.name, daily.execution_timezone, daily.catch_up) == ("report_schedule", "UTC", "latest")
    assert not daily.default_running


def test_a_schedule_without_a_function_asks_for_one_run():
    daily = ScheduleDefinition(
        "daily",
        job_name="report",
        cron_schedule="@daily",
        preset="small",
        tags={"a": "1"},
        run_config=RunConfig(ops={"load": {"config": 3}}),
    )
    config = {"ops": {"load": {"config": 3}}}
    assert daily.evaluate(TICK) == [RunRequest(job_name="report", preset="small", run_config=config, tags={"a": "1"})]


def test_the_function_gets_the_ticks_time_in_the_schedules_zone():
    seen = []

    def function(context):
        seen.append((context.scheduled_execution_time.isoformat(), context.schedule_name))
        return RunRequest()

    asked(function, execution_timezone="Europe/Berlin")
    assert seen == [("2024-07-01T06:30:00+02:00", "function")]


def test_a_request_is_completed_by_the_schedule():
    def function():
        return RunRequest(run_config={"ops": {"load": {"config": 1}}}, tags={"b": "2"})

    assert asked(function, preset="small", tags={"a": "1"}) == [
        RunRequest(
            run_config={"ops": {"load": {"config": 1}}},
            tags={"a": "1", "b": "2"},
            job_name="report",
            preset="small",
        )
    ]


def test_a_request_may_choose_its_own_preset_and_job():
    (request,) = asked(lambda: RunRequest(preset="large", job_name="other"), name="s", preset="small")
    assert (request.preset, request.job_name) == ("large", "other")


@pytest.mark.parametrize("config", [{"ops": {"load": {"config": 1}}}, RunConfig(ops={"load": {"config": 1}})])
def test_a_run_config_alone_is_a_request(config):
    (request,) = asked(lambda: config, name="s")
    assert request.run_config == {"ops": {"load": {"config": 1}}}


def test_several_requests_are_returned_or_yielded():
    def listed():
        return [RunRequest("a"), RunRequest("b")]

    def yielded():
        yield RunRequest("a")
        yield RunRequest("b")

    assert [request.run_key for request in asked(listed)] == ["a", "b"]
    assert [request.run_key for request in asked(yielded)] == ["a", "b"]


def test_several_requests_need_a_key_each():
    with pytest.raises(InvocationError, match=r"schedule 's' asks for 2 runs at one tick: .*; it gave \[None, None\]"):
        asked(lambda: [RunRequest(), RunRequest()], name="s")
    with pytest.raises(InvocationError, match="each needs a run_key of its own"):
        asked(lambda: [RunRequest("a"), RunRequest("a")], name="s")


@pytest.mark.parametrize("given", [SkipReason("no data"), [SkipReason("no data")]])
def test_a_tick_is_skipped_with_a_reason(given):
    assert asked(lambda: given, name="s") == SkipReason("no data")


@pytest.mark.parametrize("given", [None, [], [None]])
def test_asking_for_nothing_is_a_skip(given):
    assert asked(lambda: given, name="s") == SkipReason("schedule 's' asked for nothing")


def test_a_skip_beside_requests_is_refused():
    with pytest.raises(InvocationError, match="schedule 's' gives a SkipReason beside other things"):
        asked(lambda: [RunRequest(), SkipReason("no")], name="s")


def test_anything_else_is_refused():
    with pytest.raises(InvocationError, match="schedule 's' gives a int; it gives RunRequests, a run config or a"):
        asked(lambda: 3, name="s")


def test_what_the_function_raises_comes_out():
    def function():
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError, match="no route"):
        asked(function)


def test_a_schedule_called_runs_its_function():
    @schedule("@daily", job=report)
    def daily(context):
        return context.scheduled_execution_time

    assert daily(TICK) == TICK.scheduled_execution_time
    with pytest.raises(InvocationError, match="has no function"):
        ScheduleDefinition("s", cron_schedule="@daily", job=report)()


def test_a_context_for_a_test_needs_an_aware_time():
    assert build_schedule_context().scheduled_execution_time.tzinfo is UTC
    with pytest.raises(InvocationError, match="has no time zone; pass an aware datetime"):
        build_schedule_context(datetime(2024, 1, 1))  # noqa: DTZ001 -- that is the point


def test_a_default_status_may_be_its_word_and_nothing_else():
    assert schedule_with_status("RUNNING").default_status is DefaultScheduleStatus.RUNNING
    with pytest.raises(DefinitionError, match="default_status is RUNNING or STOPPED, not 'running'"):
        schedule_with_status("running")


def schedule_with_status(word):
    return ScheduleDefinition(job_name="report", cron_schedule="@daily", default_status=word)
