"""Times as people read them. Pure: the present is passed in."""

from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def parse(text: str | None) -> datetime | None:
    """Return a time of the HTTP API, or None where there is none."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def relative(moment: datetime | None, now: datetime) -> str:
    """Return ``3m ago``, ``in 2h``, ``now``; nothing for no time."""
    if moment is None:
        return ""
    seconds = (moment - now).total_seconds()
    amount = _largest(abs(seconds))
    if amount is None:
        return "now"
    return f"in {amount}" if seconds > 0 else f"{amount} ago"


def duration(length: timedelta | float | None) -> str:
    """Return ``850ms``, ``4.2s``, ``3m 05s``, ``2h 10m``, ``1d 3h``; nothing for no length."""
    if length is None:
        return ""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 0.9995:  # noqa: PLR2004 -- what rounds to a whole second is shown as one
        return f"{max(0, round(seconds * 1000))}ms"
    if seconds < 59.95:  # noqa: PLR2004 -- likewise a minute
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3_600:  # noqa: PLR2004 -- seconds of an hour
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:  # noqa: PLR2004 -- seconds of a day
        return f"{whole // 3_600}h {whole % 3_600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3_600}h"


def clock(moment: datetime | None) -> str:
    """Return the local date and time to the second; nothing for no time."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _largest(seconds: float) -> str | None:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return None
