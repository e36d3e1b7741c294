"""Cron: at which instants a schedule ticks. Pure; it knows neither the clock nor what a tick does.

An expression has five fields (minute, hour, day of month, month, day of week), or six with the **second**
first, or is one of ``@hourly @daily @midnight @weekly @monthly @yearly @annually``. Fields take numbers,
names (``MON``, ``JAN``), ``*``, lists, ranges and steps; also ``L`` (last day of the month), ``LW`` (its last
working day), ``5L`` (its last Friday) and ``MON#2`` (its second Monday). When the day of month and the day
of week are both restricted, either is enough, as in Unix cron.

The fields are read as a clock on the wall of an IANA time zone. Where that clock is put forward or back:

- A time that the clock **jumps over** (02:30, when 02:00 becomes 03:00) ticks once, at the first moment after
  the gap: 03:00. Should that moment belong to the next day already (America/Nuuk: Saturday 23:00 becomes
  Sunday 00:00), it ticks at the last minute before the gap, so that each day keeps its own tick. Several times
  in one gap become one tick. A day that the zone leaves out altogether has no tick.
- A time that the clock **shows twice** ticks once, at its first occurrence.
- A schedule that is **hourly or faster** ticks through, at its usual pace in elapsed time: nothing happens for
  the hour that is left out, and the hour that is repeated ticks twice. Hourly or faster, at some hour, is an
  expression whose hour field also has the hour before and the hour after: all of ``*``, and 2 of ``1-5``.

Ticks are aware UTC datetimes, strictly increasing. The parser is cronsim's; the zone rules above are ours,
tested over every IANA zone (ADR 0009 compares the libraries).
"""

import difflib
import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from dagwire_shared.errors import DagwireError

ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_RANGES: Final = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31 (a day that the month has), L or LW",
    "month": "1 to 12 or JAN to DEC",
    "day-of-week": "0 to 7 (Sunday is 0 and 7) or SUN to SAT",
}
_FIVE, _SIX = 5, 6
_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_PROBE: Final = timedelta(days=1)
"""No zone has changed its offset twice within a day since 1970 (a test looks)."""
_CHUNK: Final = timedelta(days=64)
_FIRST_LOOK: Final = timedelta(minutes=1)
_LONGEST_LOOK: Final = timedelta(days=366 * 50)
"""An expression that does not match within fifty years never does, as far as anybody here is concerned."""


class InvalidCronError(DagwireError, ValueError):
    """Correct the cron expression or the time zone as the message says."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A parsed expression, still in wall-clock terms."""

    fields: str
    flowing: frozenset[int]
    """The hours at which it is hourly or faster."""
    grain: timedelta
    """What it can tell apart: a minute, or a second with six fields."""


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of time in which the zone's offset is constant."""

    start: datetime
    end: datetime
    offset: timedelta


def check(expression: str, timezone: str | None = None) -> None:
    """Make sure that an expression and a zone can be used.

    Raises:
        InvalidCronError: says which field is wrong and what it takes, or which zone may have been meant.
    """
    _rule(expression)
    _zone(timezone)


def ticks_after(expressions: Sequence[str], timezone: str | None, after: datetime) -> Iterator[datetime]:
    """Yield the instants after ``after`` at which at least one of the expressions ticks, without end.

    Args:
        expressions: their union counts; an instant that several share is one tick.
        timezone: an IANA name; None or empty: UTC.
        after: an aware datetime; a tick at this very instant is not yielded.

    Raises:
        InvalidCronError: as ``check``, before the first tick.
    """
    if after.tzinfo is None:
        raise InvalidCronError(f"{after.isoformat()} has no time zone: give an aware datetime")
    zone = _zone(timezone)
    rules = [_rule(expression) for expression in dict.fromkeys(expressions)]
    return _distinct(heapq.merge(*(_ticks(rule, zone, after.astimezone(UTC)) for rule in rules)))


def ticks_between(
    expressions: Sequence[str], timezone: str | None, *, after: datetime, through: datetime
) -> Iterator[datetime]:
    """Yield the ticks after ``after``, up to and including ``through``."""
    return takewhile(lambda tick: tick <= through, ticks_after(expressions, timezone, after))


def next_tick(expressions: Sequence[str], timezone: str | None, after: datetime) -> datetime | None:
    """Return the first tick after ``after``; None when there is no expression."""
    return _next_tick(tuple(expressions), timezone, after)


@lru_cache(maxsize=16384)  # a thousand schedules ask the same of one midnight, each of them several times
def _next_tick(expressions: tuple[str, ...], timezone: str | None, after: datetime) -> datetime | None:
    return next(ticks_after(expressions, timezone, after), None)


def previous_tick(expressions: Sequence[str], timezone: str | None, before: datetime) -> datetime | None:
    """Return the last tick at or before ``before``; None when there was none for fifty years."""
    found = latest_ticks(expressions, timezone, after=before - _LONGEST_LOOK, through=before, limit=1)
    return found[0] if found else None


def latest_ticks(
    expressions: Sequence[str], timezone: str | None, *, after: datetime, through: datetime, limit: int
) -> list[datetime]:
    """Return the last ``limit`` ticks after ``after``, up to and including ``through``, oldest first.

    Looks back from the end, so that a long range of frequent ticks costs no more than a short one.
    """
    found: list[datetime] = []
    look, end = _FIRST_LOOK, through
    while len(found) < limit and end > after:
        start = max(after, end - look)
        found = list(ticks_between(expressions, timezone, after=start, through=end)) + found
        end, look = start, look * 2
    return found[-limit:] if limit else []


@lru_cache(maxsize=4096)
def _rule(expression: str) -> _Rule:
    fields = " ".join(expression.split())
    fields = ALIASES.get(fields.lower(), fields)
    if fields.startswith("@"):
        raise InvalidCronError(f"cron expression {expression!r}: known short forms are {', '.join(ALIASES)}")
    count = len(fields.split())
    if count not in {_FIVE, _SIX}:
        raise InvalidCronError(
            f"cron expression {expression!r} has {count} fields: give five (minute, hour, day of month, month, "
            "day of week), or six with the second first"
        )
    try:
        parsed = CronSim(fields, datetime(2000, 1, 1))  # noqa: DTZ001 -- a wall clock
        next(parsed)
    except CronSimError as error:
        raise InvalidCronError(f"cron expression {expression!r}: {_explain(str(error), fields)}") from error
    except StopIteration:
        raise InvalidCronError(f"cron expression {expression!r} never matches: no such date exists") from None
    hours = parsed.hours
    flowing = frozenset(hour for hour in hours if {(hour - 1) % 24, (hour + 1) % 24} <= hours)
    return _Rule(fields=fields, flowing=flowing, grain=_SECOND if count == _SIX else _MINUTE)


def _explain(fault: str, fields: str) -> str:
    """Return cronsim's "Bad minute" with the field's text and what it takes."""
    name = fault.removeprefix("Bad ")
    if name not in _RANGES:
        return fault
    parts = fields.split()
    text = parts[list(_RANGES).index(name) - (_SIX - len(parts))]
    return f"the {name} field {text!r} is wrong: it takes {_RANGES[name]}; lists, rising ranges and steps of them; or *"


@lru_cache(maxsize=1024)
def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = {zone.lower(): zone for zone in available_timezones()}
        near = difflib.get_close_matches(re.sub(r"\s+", "_", str(name).lower()), known, n=1)
        hint = f"did you mean {known[near[0]]!r}?" if near else "use an IANA name such as 'Europe/Berlin'"
        raise InvalidCronError(f"unknown time zone {name!r}: {hint}") from None


def _distinct(ticks: Iterator[datetime]) -> Iterator[datetime]:
    last = None
    for tick in ticks:
        if tick != last:
            yield tick
        last = tick


def _ticks(rule: _Rule, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last = after
    for tick in _instants(rule, zone, after.replace(microsecond=0)):
        if tick > last:
            yield tick
            last = tick


def _instants(rule: _Rule, zone: ZoneInfo, start: datetime) -> Iterator[datetime]:
    """Yield instants from ``start`` on in order; some may repeat."""
    walls: Iterator[datetime] = iter(())
    wall: datetime | None = None
    before: _Span | None = None
    for span in _spans(zone, start):
        if before is None or span.offset != before.offset:
            if before is not None:
                yield from _in_gap(rule, before, span)
            walls = _walls(rule, _clock(span.start, span.offset))
            wall = next(walls, None)
        end = _clock(span.end, span.offset)
        while wall is not None and wall < end:
            if wall.hour in rule.flowing or _is_first(wall, zone, span.offset):
                yield (wall - span.offset).replace(tzinfo=UTC)
            wall = next(walls, None)
        if wall is None:
            return
        before = span


def _in_gap(rule: _Rule, before: _Span, after: _Span) -> Iterator[datetime]:
    """Yield where the times between two spans go, which the wall clock jumps over."""
    begin, end = _clock(before.end, before.offset), _clock(before.end, after.offset)
    jumped = takewhile(lambda wall: wall < end, _walls(rule, begin))
    days = {wall.date() for wall in jumped if wall.hour not in rule.flowing}
    if (begin - rule.grain).date() in days - {end.date()}:
        yield before.end - rule.grain
    if end.date() in days:
        yield before.end


def _is_first(wall: datetime, zone: ZoneInfo, offset: timedelta) -> bool:
    return wall.replace(tzinfo=zone).utcoffset() == offset


def _walls(rule: _Rule, start: datetime) -> Iterator[datetime]:
    """Yield the matching wall-clock times from ``start`` on, as naive datetimes."""
    return CronSim(rule.fields, start - _SECOND)


def _clock(instant: datetime, offset: timedelta) -> datetime:
    return instant.replace(tzinfo=None) + offset


def _spans(zone: ZoneInfo, start: datetime) -> Iterator[_Span]:
    """Yield stretches of constant offset from ``start`` on, each adjoining the one before."""
    while True:
        offset = _offset(zone, start)
        end = _first_change(zone, start, offset)
        yield _Span(start=start, end=end, offset=offset)
        start = end


def _first_change(zone: ZoneInfo, start: datetime, offset: timedelta) -> datetime:
    """Return the first second after ``start`` with another offset, or a point some weeks on."""
    if zone.key == "UTC":
        return start + _CHUNK
    low = start
    while (high := low + _PROBE) < start + _CHUNK:
        if _offset(zone, high) != offset:
            while high - low > _SECOND:
                middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            return high
        low = high
    return low


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
