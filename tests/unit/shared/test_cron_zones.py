"""The rules for clock changes, at every kind of change that any IANA zone has made since 1970 or is known to make.

The expectations are worked out anew here, from zoneinfo alone, minute by minute where need be.
"""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from dagwire_shared.cron import next_tick, ticks_after, ticks_between

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Change(NamedTuple):
    """A zone's clock is put forward or back at an instant."""

    zone: str
    at: datetime
    before: timedelta
    after: timedelta


def offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset()


def changes_of(key: str) -> Iterator[Change]:
    zone, step, low = ZoneInfo(key), timedelta(days=4), FIRST
    before = offset(zone, low)
    while low < LAST:
        high = low + step
        after = offset(zone, high)
        if after != before:
            early, late = low, high
            while late - early > timedelta(seconds=1):
                middle = early + (late - early) // 2
                middle = middle.replace(microsecond=0)
                early, late = (middle, late) if offset(zone, middle) == before else (early, middle)
            after = offset(zone, late)
            yield Change(key, late, before, after)
            before, low = after, late
        else:
            low = high


@pytest.fixture(scope="module")
def changes() -> list[Change]:
    """Every kind of change once (the offsets and the time on the clock), and the newest of each zone."""
    kinds: dict[tuple[object, ...], Change] = {}
    for key in sorted(available_timezones() - {"localtime", "Factory", "posixrules"}):
        newest = None
        for change in changes_of(key):
            clock = (change.at + change.before).time()
            kinds[change.before, change.after, clock] = change
            newest = change
        if newest is not None:
            kinds[(key,)] = newest
    return list(kinds.values())


def days_that_exist(zone: ZoneInfo, first: date, last: date) -> list[date]:
    """The local dates that at least one minute of the zone's clock shows."""
    start = datetime.combine(first, time(), tzinfo=UTC) - DAY
    shown = {
        (start + minutes * MINUTE * 15).astimezone(zone).date() for minutes in range(((last - first).days + 3) * 96)
    }
    return sorted(day for day in shown if first <= day <= last)


def around(change: Change) -> tuple[datetime, datetime]:
    return change.at - 3 * DAY, change.at + 3 * DAY


def times_near(change: Change) -> set[time]:
    """Minutes in and beside the hour that is left out or repeated."""
    low, high = sorted((change.at + change.before, change.at + change.after))
    middle = low + (high - low) / 2
    near = (low - HOUR, low - MINUTE, low, low + MINUTE, middle, high - MINUTE, high, high + HOUR)
    return {moment.time().replace(second=0, microsecond=0, tzinfo=None) for moment in near}


def test_there_are_changes_of_every_sort(changes):
    assert len(changes) > 500
    assert any(change.after - change.before == timedelta(minutes=30) for change in changes)
    assert any(change.after - change.before == DAY for change in changes)
    assert any(
        change.after > change.before and (change.at + change.before).date() != (change.at + change.after).date()
        for change in changes
        if change.at.year > 2023
    )


def test_a_daily_schedule_ticks_once_on_every_day_that_exists(changes):
    for change in changes:
        zone = ZoneInfo(change.zone)
        after, through = around(change)
        first, last = (after.astimezone(zone) + DAY).date(), (through.astimezone(zone) - DAY).date()
        expected = days_that_exist(zone, first, last)
        for at in times_near(change):
            ticks = list(ticks_between([f"{at.minute} {at.hour} * * *"], change.zone, after=after, through=through))
            days = [tick.astimezone(zone).date() for tick in ticks]
            assert [day for day in days if first <= day <= last] == expected, (change, at)
            assert all(early < late for early, late in pairwise(ticks)), (change, at)


def test_a_daily_schedule_ticks_at_its_time_wherever_the_clock_shows_it(changes):
    for change in changes:
        zone = ZoneInfo(change.zone)
        after, through = around(change)
        for at in times_near(change):
            for tick in ticks_between([f"{at.minute} {at.hour} * * *"], change.zone, after=after, through=through):
                shown = tick.astimezone(zone)
                if shown.time() != at:
                    assert change.after > change.before, (change, at)
                    assert tick in {change.at, change.at - MINUTE}, (change, at)
                elif change.after < change.before:
                    assert shown.fold == 0, (change, at)


def test_faster_schedules_keep_their_pace(changes):
    for change in changes:
        if change.after % MINUTE or change.before % MINUTE:
            continue
        ticks = list(ticks_between(["*/5 * * * *"], change.zone, after=change.at - HOUR, through=change.at + HOUR))
        if (change.after - change.before) % (5 * MINUTE) == timedelta():
            assert {late - early for early, late in pairwise(ticks)} == {5 * MINUTE}, change
        assert ticks == sorted(set(ticks)), change


def test_hourly_schedules_keep_their_pace_where_the_change_is_by_whole_hours(changes):
    for change in changes:
        if (change.after - change.before) % HOUR == timedelta():
            ticks = list(ticks_between(["17 * * * *"], change.zone, after=change.at - DAY, through=change.at + DAY))
            assert {late - early for early, late in pairwise(ticks)} == {HOUR}, change


def test_where_one_starts_to_ask_makes_no_difference(changes):
    chance = random.Random(20260101)
    for change in chance.sample(changes, 200):
        cron = chance.choice(
            ["*/20 * * * *", "30 2 * * *", "*/15 0-2,22,23 * * *", "0 0,1,2,3,23 * * *", "45 */3 * * *"]
        )
        after, through = around(change)
        ticks = list(ticks_between([cron], change.zone, after=after, through=through))
        starts = [after + chance.random() * (through - after) for _ in range(10)] + [change.at]
        for start in starts:
            expected = next((tick for tick in ticks if tick > start), None)
            if expected is not None:
                assert next_tick([cron], change.zone, start) == expected, (change, cron, start)


def test_ticks_rise_strictly_for_any_expression(changes):
    chance = random.Random(42)
    for change in chance.sample(changes, 300):
        minute = chance.choice(["*", "*/7", "0,30", "59", str(chance.randrange(60))])
        hour = chance.choice(["*", "*/2", "0-3", "23", "22-23,0-1", str(chance.randrange(24))])
        ticks = ticks_after([f"{minute} {hour} * * *"], change.zone, change.at - DAY)
        found = [next(ticks) for _ in range(60)]
        assert all(early < late for early, late in pairwise(found)), (change, minute, hour)


def test_no_zone_changes_twice_within_a_day(changes):
    """What the search for changes in cron.py relies on, looked at hour by hour around each known change."""
    for change in changes:
        zone = ZoneInfo(change.zone)
        around_it = [offset(zone, change.at + hours * HOUR) for hours in range(-25, 26)]
        assert sum(early != late for early, late in pairwise(around_it)) == 1, change
