"""Finds the job, schedule or run that a person means by a short name. Pure."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dagwire.cli.exits import CommandError, ExitCode

IMPLICIT_REPOSITORY: Final = "__repository__"

Item = Mapping[str, Any]
_FULL_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID_START: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,}")


def find(
    items: Sequence[Item], reference: str, *, what: str, location: str | None = None, repository: str | None = None
) -> Item:
    """Return the job or schedule that ``name``, ``location/name`` or ``location/repository/name`` means.

    Raises:
        CommandError: there is none, or there are several.
    """
    *place, name = reference.split("/")
    if len(place) > 2 or not name:  # noqa: PLR2004 -- location and repository
        raise CommandError(
            f"{reference!r} names no {what}: write NAME, LOCATION/NAME or LOCATION/REPOSITORY/NAME", ExitCode.USAGE
        )
    location = place[0] if place else location
    repository = place[1] if len(place) > 1 else repository
    within = [
        item for item in items if location in (None, item["location"]) and repository in (None, item["repository"])
    ]
    found = [item for item in within if item["name"] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(
            f"{len(found)} {what}s are called {name!r}: say which one",
            ExitCode.USAGE,
            details=tuple(full_name(item) for item in found),
        )
    raise CommandError(_unknown(name, what, within, location), ExitCode.NOT_FOUND)


def full_name(item: Item) -> str:
    """Return the shortest reference that always means this job or schedule."""
    parts = [item["location"], item["repository"], item["name"]]
    return "/".join(part for part in parts if part != IMPLICIT_REPOSITORY)


def _unknown(name: str, what: str, within: Sequence[Item], location: str | None) -> str:
    names = sorted({item["name"] for item in within})
    where = f" in {location!r}" if location else ""
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"there is no {what} {name!r}{where}; did you mean {close[0]!r}?"
    if not names:
        return f"there is no {what} {name!r}{where}: it has no {what}s at all (did its code load? see Dagit)"
    some = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")  # noqa: PLR2004 -- a line's worth
    return f"there is no {what} {name!r}{where}; there are {some}"


def is_full_id(reference: str) -> bool:
    """Return whether this is a whole run id."""
    return _FULL_ID.fullmatch(reference) is not None


def find_run(run_ids: Sequence[str], reference: str) -> str:
    """Return the recent run whose id starts like this.

    Raises:
        CommandError: there is none, or there are several.
    """
    if _ID_START.fullmatch(reference) is None:
        raise CommandError(f"{reference!r} is no run id: `dagwire run list` shows them", ExitCode.USAGE)
    found = [run_id for run_id in run_ids if run_id.startswith(reference)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(
            f"{len(found)} runs begin with {reference!r}: write more of the id",
            ExitCode.USAGE,
            details=tuple(found[:8]),
        )
    raise CommandError(
        f"none of the newest {len(run_ids)} runs begins with {reference!r}: write the whole id", ExitCode.NOT_FOUND
    )
