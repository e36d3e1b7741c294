"""What a schedule has to do: each policy, each way to be switched, edited, stopped and started again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_scheduler.ticks import EDITED, CatchUp, Fire, Limits, Progress, Rule, Settle, Terms, Wait, decide

HOURLY = Rule(("0 * * * *",), "UTC")
HALF_PAST = Rule(("30 * * * *",), "UTC")
LIMITS = Limits(missed_after=timedelta(seconds=60), catch_up=3)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, minute, second, tzinfo=UTC)


def terms(**fields: object) -> Terms:
    return replace(Terms(rule=HOURLY, active=True, catch_up=CatchUp.LATEST), **fields)


def progress(through: datetime, **fields: object) -> Progress:
    return replace(Progress(through=through, rule=HOURLY), **fields)


def decided(what: Terms, so_far: Progress | None, now: datetime):
    return decide(what, so_far, now=now, limits=LIMITS)


def dropped(decision: object) -> list[datetime]:
    assert isinstance(decision, Settle)
    return [one.nominal for one in decision.dropped]


def test_a_schedule_seen_first_fires_nothing_of_the_past():
    assert decided(terms(), None, at(12, 30)) == Settle(Progress(through=at(12, 30), rule=HOURLY))


def test_a_stopped_schedule_seen_first_is_noted_as_stopped():
    decision = decided(terms(active=False), None, at(12, 30))
    assert decision == Settle(Progress(through=at(12, 30), rule=HOURLY, active=False))


def test_nothing_due_waits_for_the_next_tick():
    assert decided(terms(), progress(at(12)), at(12, 30)) == Wait(until=at(13))


def test_a_due_tick_fires():
    assert decided(terms(), progress(at(12)), at(13)) == Fire(at(13))


def test_a_tick_does_not_fire_a_moment_early():
    assert decided(terms(), progress(at(12)), at(13) - timedelta(microseconds=1)) == Wait(until=at(13))


def test_a_settled_tick_does_not_fire_again_when_the_clock_goes_back():
    assert decided(terms(), progress(at(13)), at(12, 50)) == Wait(until=at(14))


def test_a_schedule_without_an_expression_waits_for_a_change():
    nothing = Rule((), "UTC")
    assert decided(terms(rule=nothing), progress(at(12), rule=nothing), at(13)) == Wait(until=None)


@pytest.mark.parametrize("policy", list(CatchUp))
def test_a_tick_that_is_a_little_late_fires_under_every_policy(policy):
    assert decided(terms(catch_up=policy), progress(at(12)), at(13, 0, 59)) == Fire(at(13))


def test_skip_drops_every_missed_tick_and_records_it():
    decision = decided(terms(catch_up=CatchUp.SKIP), progress(at(10)), at(12, 30))
    assert dropped(decision) == [at(11), at(12)]
    assert decision.progress == progress(at(12))
    assert "missed" in decision.dropped[0].reason
    assert decided(terms(catch_up=CatchUp.SKIP), decision.progress, at(12, 30)) == Wait(until=at(13))


def test_skip_fires_the_tick_that_is_on_time_after_the_missed_ones():
    decision = decided(terms(catch_up=CatchUp.SKIP), progress(at(10)), at(13, 0, 5))
    assert dropped(decision) == [at(11), at(12)]
    assert decided(terms(catch_up=CatchUp.SKIP), decision.progress, at(13, 0, 5)) == Fire(at(13))


def test_latest_fires_only_the_newest_missed_tick():
    decision = decided(terms(), progress(at(9)), at(12, 30))
    assert dropped(decision) == [at(10), at(11)]
    assert decided(terms(), decision.progress, at(12, 30)) == Fire(at(12))


def test_latest_fires_one_missed_tick_without_dropping_any():
    assert decided(terms(), progress(at(11)), at(12, 30)) == Fire(at(12))


def test_latest_drops_all_missed_ticks_when_one_is_on_time():
    decision = decided(terms(), progress(at(9)), at(12, 0, 1))
    assert dropped(decision) == [at(10), at(11)]
    assert decided(terms(), decision.progress, at(12, 0, 1)) == Fire(at(12))


def test_all_fires_every_missed_tick_oldest_first():
    assert decided(terms(catch_up=CatchUp.ALL), progress(at(9)), at(12, 30)) == Fire(at(10))
    assert decided(terms(catch_up=CatchUp.ALL), progress(at(10)), at(12, 30)) == Fire(at(11))


def test_all_is_bounded_and_drops_the_oldest():
    decision = decided(terms(catch_up=CatchUp.ALL), progress(at(7)), at(12, 30))
    assert dropped(decision) == [at(8), at(9)]
    assert decided(terms(catch_up=CatchUp.ALL), decision.progress, at(12, 30)) == Fire(at(10))


def test_a_tick_on_time_counts_beside_the_bound_of_all():
    decision = decided(terms(catch_up=CatchUp.ALL), progress(at(8)), at(13, 0, 5))
    assert dropped(decision) == [at(9)]
    assert decision.progress.through == at(9)


def test_ticks_dropped_by_the_thousand_are_recorded_by_their_bounds():
    every_second = Rule(("* * * * * *",), "UTC")
    skip = terms(rule=every_second, catch_up=CatchUp.SKIP)
    decision = decided(skip, progress(at(1), rule=every_second), at(12))
    assert dropped(decision) == [at(1, 0, 1), at(11, 58, 58), at(11, 58, 59), at(11, 59)]
    assert "up to 2026-01-01T11:58:57" in decision.dropped[0].reason
    assert decision.progress.through == at(11, 59)


def test_switching_off_stops_at_once_and_forgets_the_tick_in_hand():
    stopped = Settle(progress(at(13, 0, 5), active=False))
    assert decided(terms(active=False), progress(at(12), begun=at(13)), at(13, 0, 5)) == stopped


def test_a_stopped_schedule_waits_for_a_change():
    assert decided(terms(active=False), progress(at(12), active=False), at(15)) == Wait(until=None)


def test_switched_on_again_it_begins_when_it_was_switched_on():
    switched = terms(switched_on=at(14, 30))
    decision = decided(switched, progress(at(12), active=False), at(14, 30, 2))
    assert decision == Settle(progress(at(14, 30)))
    assert decided(switched, decision.progress, at(15)) == Fire(at(15))


def test_a_tick_between_the_switch_and_the_schedulers_return_is_caught_up_with():
    switched = terms(switched_on=at(14, 30))
    decision = decided(switched, progress(at(12), active=False), at(15, 30))
    assert decided(switched, decision.progress, at(15, 30)) == Fire(at(15))


def test_running_again_by_its_code_it_begins_now():
    assert decided(terms(), progress(at(12), active=False), at(14, 30)) == Settle(progress(at(14, 30)))


def test_back_in_the_code_after_a_month_an_old_switch_does_not_count():
    long_ago = terms(switched_on=at(1))
    assert decided(long_ago, progress(at(12), active=False), at(20, 30)) == Settle(progress(at(20, 30)))


def test_stopped_and_started_while_no_scheduler_ran_it_fires_nothing_from_before_the_start():
    switched = terms(switched_on=at(14, 30), catch_up=CatchUp.ALL)
    assert decided(switched, progress(at(9)), at(14, 40)) == Wait(until=at(15))


def test_an_edited_rule_fires_no_old_tick_and_records_those_it_missed():
    decision = decided(terms(rule=HALF_PAST), progress(at(10)), at(12, 45))
    assert decision.progress == Progress(through=at(12, 45), rule=HALF_PAST)
    assert dropped(decision) == [at(11), at(12)]
    assert decision.dropped[0].reason == EDITED
    assert decided(terms(rule=HALF_PAST), decision.progress, at(12, 45)) == Wait(until=at(13, 30))


def test_an_edited_time_zone_is_an_edited_rule():
    there = Rule(HOURLY.cron_schedules, "Asia/Kolkata")
    decision = decided(terms(rule=there), progress(at(12)), at(12, 45))
    assert decision == Settle(Progress(through=at(12, 45), rule=there))
    assert decided(terms(rule=there), decision.progress, at(12, 45)) == Wait(until=at(13, 30))


def test_a_tick_begun_under_the_old_rule_is_finished_first():
    assert decided(terms(rule=HALF_PAST), progress(at(11), begun=at(12)), at(12, 45)) == Fire(at(12))


@pytest.mark.parametrize("policy", list(CatchUp))
def test_a_begun_tick_is_finished_whatever_the_policy(policy):
    assert decided(terms(catch_up=policy), progress(at(8), begun=at(9)), at(23)) == Fire(at(9))


def test_a_begun_tick_from_before_a_restart_of_the_schedule_is_not_finished():
    switched = terms(switched_on=at(14, 30))
    assert decided(switched, progress(at(12), begun=at(13)), at(14, 40)) == Wait(until=at(15))


def test_progress_never_goes_back():
    for now in (at(1), at(12), at(23)):
        for what in (terms(), terms(active=False), terms(rule=HALF_PAST), terms(switched_on=at(2))):
            for so_far in (progress(at(12)), progress(at(12), active=False), progress(at(12), begun=at(13))):
                decision = decided(what, so_far, now)
                if isinstance(decision, Settle):
                    assert decision.progress.through >= so_far.through
                if isinstance(decision, Fire):
                    assert decision.nominal > so_far.through
