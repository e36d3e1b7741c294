"""Cron expressions: what is accepted, when they tick, and what they say when they are wrong."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from dagwire_shared.cron import (
    InvalidCronError,
    check,
    latest_ticks,
    next_tick,
    previous_tick,
    ticks_after,
    ticks_between,
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def local(zone: str, expressions: str | list[str], after: str, count: int) -> list[str]:
    """The next ticks as the wall clock of the zone shows them."""
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    crons = [expressions] if isinstance(expressions, str) else expressions
    return [f"{tick.astimezone(ZoneInfo(zone)):%m-%d %H:%M}" for tick in islice(ticks_after(crons, zone, start), count)]


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "*/5 0-6,22 1,15 JAN-MAR mon-fri",
        "0 9 * * MON#2",
        "0 0 L * *",
        "0 0 LW * *",
        "0 0 * * 5L",
        "0 0 * * 7",
        "@hourly",
        "@daily",
        "@midnight",
        "@weekly",
        "@monthly",
        "@yearly",
        "@annually",
        "@DAILY",
        "  0  2 * * *  ",
        "*/10 * * * * *",
        "0 0 29 2 *",
    ],
)
def test_good_expressions_pass(expression):
    check(expression, "Europe/Berlin")
    assert next_tick([expression], "Europe/Berlin", utc(2026, 1, 1)) > utc(2026, 1, 1)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("61 * * * *", "the minute field '61' is wrong: it takes 0 to 59"),
        ("0 24 * * *", "the hour field '24'"),
        ("0 0 0 * *", "the day-of-month field '0'"),
        ("0 0 * FOO *", "the month field 'FOO'"),
        ("0 0 * * MOM", "the day-of-week field 'MOM'"),
        ("99 * * * * *", "the second field '99'"),
        ("* * *", "has 3 fields"),
        ("", "has 0 fields"),
        ("0 0 30 2 *", "a day that the month has"),
        ("@fortnightly", "known short forms are @hourly"),
        ("*/0 * * * *", "the minute field"),
        ("0 22-2 * * *", "rising ranges"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_place(expression, says):
    with pytest.raises(InvalidCronError) as refused:
        check(expression)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("new york", "did you mean 'America/New_York'?"),
        ("../../etc/passwd", "use an IANA name"),
        ("/etc/passwd", "use an IANA name"),
        ("Mars/Olympus_Mons", "unknown time zone"),
    ],
)
def test_an_unknown_zone_is_refused_with_a_suggestion(zone, says):
    with pytest.raises(InvalidCronError, match="unknown time zone") as refused:
        check("@daily", zone)
    assert says in str(refused.value)


def test_without_a_zone_the_clock_is_utc():
    for zone in (None, "", "UTC"):
        assert next_tick(["@daily"], zone, utc(2026, 3, 4, 5)) == utc(2026, 3, 5)


def test_a_naive_time_is_refused():
    with pytest.raises(InvalidCronError, match="aware"):
        ticks_after(["@daily"], None, datetime(2026, 1, 1))  # noqa: DTZ001 -- that is the point


def test_ticks_are_after_the_given_instant_and_never_at_it():
    assert next_tick(["0 * * * *"], None, utc(2026, 1, 1, 3)) == utc(2026, 1, 1, 4)
    assert next_tick(["0 * * * *"], None, utc(2026, 1, 1, 3) - timedelta(microseconds=1)) == utc(2026, 1, 1, 3)
    assert next_tick(["0 * * * *"], None, utc(2026, 1, 1, 3) + timedelta(microseconds=1)) == utc(2026, 1, 1, 4)


def test_several_expressions_make_one_ordered_union():
    crons = ["0 */2 * * *", "0 3 * * *", "0 4 * * *"]
    found = list(ticks_between(crons, None, after=utc(2026, 1, 1), through=utc(2026, 1, 1, 6)))
    assert found == [utc(2026, 1, 1, hour) for hour in (2, 3, 4, 6)]


def test_no_expression_never_ticks():
    assert next_tick([], "Europe/Berlin", utc(2026, 1, 1)) is None
    assert previous_tick([], "Europe/Berlin", utc(2026, 1, 1)) is None


def test_the_end_of_a_range_is_part_of_it():
    ticks = list(ticks_between(["0 * * * *"], None, after=utc(2026, 1, 1, 1), through=utc(2026, 1, 1, 3)))
    assert ticks == [utc(2026, 1, 1, 2), utc(2026, 1, 1, 3)]


def test_day_of_month_and_day_of_week_are_either_or():
    assert local("UTC", "0 0 13 * FRI", "2026-02-01", 3) == ["02-06 00:00", "02-13 00:00", "02-20 00:00"]


def test_seconds_come_first_in_six_fields():
    assert list(islice(ticks_after(["*/20 * * * * *"], None, utc(2026, 1, 1)), 3)) == [
        utc(2026, 1, 1, 0, 0, 20),
        utc(2026, 1, 1, 0, 0, 40),
        utc(2026, 1, 1, 0, 1),
    ]


def test_the_previous_tick_may_be_now_or_years_ago():
    assert previous_tick(["@daily"], None, utc(2026, 1, 5)) == utc(2026, 1, 5)
    assert previous_tick(["0 0 29 2 *"], None, utc(2027, 1, 1)) == utc(2024, 2, 29)
    assert previous_tick(["* * * * * *"], None, utc(2026, 1, 1, 0, 0, 0, 999)) == utc(2026, 1, 1)
    assert previous_tick(["0 12 * * *"], "Asia/Tokyo", utc(2026, 1, 1)) == utc(2025, 12, 31, 3)


def test_a_time_in_the_gap_ticks_when_the_gap_ends():
    assert local("Europe/Berlin", "30 2 * * *", "2026-03-28 00:00", 3) == ["03-28 02:30", "03-29 03:00", "03-30 02:30"]


def test_several_times_in_one_gap_are_one_tick():
    found = local("Europe/Berlin", ["0 2 * * *", "*/10 2 * * *", "0 3 * * *"], "2026-03-29 00:00", 2)
    assert found == ["03-29 03:00", "03-30 02:00"]


def test_a_gap_that_ends_on_the_next_day_leaves_the_tick_on_its_own_day():
    assert local("America/Nuuk", "30 23 * * *", "2026-03-27", 3) == ["03-27 23:30", "03-28 22:59", "03-29 23:30"]
    assert local("America/Nuuk", "0 30 23 * * *", "2026-03-28", 2) == ["03-28 22:59", "03-29 23:30"]


def test_a_day_that_the_zone_left_out_has_no_tick():
    assert local("Pacific/Apia", "0 9 * * *", "2011-12-29", 3) == ["12-29 09:00", "12-31 09:00", "01-01 09:00"]


def test_an_ambiguous_time_ticks_at_its_first_occurrence_only():
    found = list(islice(ticks_after(["30 2 * * *"], "Europe/Berlin", utc(2026, 10, 24, 12)), 2))
    assert found == [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]


def test_asking_between_the_two_occurrences_does_not_tick_again():
    assert next_tick(["30 2 * * *"], "Europe/Berlin", utc(2026, 10, 25, 0, 45)) == utc(2026, 10, 26, 1, 30)
    assert next_tick(["30 2 * * *"], "Europe/Berlin", utc(2026, 10, 25, 1, 15)) == utc(2026, 10, 26, 1, 30)


@pytest.mark.parametrize("expression", ["*/30 * * * *", "*/30 0-23 * * *", "*/30 1-5 * * *", "0,30 */1 * * *"])
@pytest.mark.parametrize("night", [(2026, 3, 29), (2026, 10, 25)])
def test_hourly_or_faster_keeps_its_pace_through_both_changes(expression, night):
    ticks = list(islice(ticks_after([expression], "Europe/Berlin", utc(*night)), 4))
    assert {late - early for early, late in pairwise(ticks)} == {timedelta(minutes=30)}


def test_every_other_hour_is_not_hourly_and_loses_no_local_time():
    assert local("Europe/Berlin", "0 */2 * * *", "2026-03-29 00:00", 3) == ["03-29 03:00", "03-29 04:00", "03-29 06:00"]


def test_the_latest_ticks_of_a_long_range_are_found_from_its_end():
    through = utc(2026, 1, 31, 0, 0, 0, 5)
    found = latest_ticks(["* * * * * *"], None, after=utc(2000, 1, 1), through=through, limit=3)
    assert found == [utc(2026, 1, 30, 23, 59, 58), utc(2026, 1, 30, 23, 59, 59), utc(2026, 1, 31)]


def test_the_latest_ticks_are_all_there_are_when_they_are_few():
    found = latest_ticks(["@daily"], None, after=utc(2026, 1, 1), through=utc(2026, 1, 3), limit=10)
    assert found == [utc(2026, 1, 2), utc(2026, 1, 3)]
    assert latest_ticks(["@daily"], None, after=utc(2026, 1, 3), through=utc(2026, 1, 1), limit=10) == []
