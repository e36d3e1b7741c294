"""`dagwire schedule`: list schedules, switch them on and off, see their next ticks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from dagwire_shared.model import utc_now

from dagwire.cli.dagit import Dagit
from dagwire.cli.options import json_option, place_options, print_json, with_dagit
from dagwire.cli.references import find, full_name
from dagwire.cli.tables import faint, note, say, status, table
from dagwire.cli.times import parse, relative


@click.group()
def schedule() -> None:
    """List schedules, switch them on and off, see their next ticks.

    A SCHEDULE is written NAME, LOCATION/NAME or LOCATION/REPOSITORY/NAME.
    """


@schedule.command("list")
@place_options
@json_option
@with_dagit
def list_schedules(dagit: Dagit, *, location: str | None, repository: str | None, as_json: bool) -> None:
    """List the schedules of every code location."""
    schedules = [
        item
        for item in dagit.get("schedules")
        if location in (None, item["location"]) and repository in (None, item["repository"])
    ]
    if as_json:
        print_json(schedules)
        return
    if not schedules:
        note("There are no schedules.")
        return
    heads = ("SCHEDULE", "LOCATION", "STATUS", "CRON", "TIME ZONE", "JOB", "NEXT TICK", "LAST TICK")
    say(table(heads, [_row(item, utc_now()) for item in schedules]))


def _row(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    job = f"{item['job']} ({item['preset']})" if item["preset"] else item["job"]
    last = item["last_tick"]
    told = f"{status(last['status'])} {relative(parse(last['nominal_time']), now)}" if last else ""
    crons = " | ".join(item["cron_schedules"])
    following = relative(parse(item["next_tick"]), now)
    zone = item["execution_timezone"]
    return item["name"], item["location"], status(item["status"]), crons, zone, job, following, told


@schedule.command("start")
@click.argument("name", metavar="SCHEDULE")
@place_options
@json_option
@with_dagit
def start(dagit: Dagit, *, name: str, location: str | None, repository: str | None, as_json: bool) -> None:
    """Switch a schedule on."""
    _switch(dagit, _found(dagit, name, location, repository), "start", as_json=as_json)


@schedule.command("stop")
@click.argument("name", metavar="SCHEDULE")
@place_options
@json_option
@with_dagit
def stop(dagit: Dagit, *, name: str, location: str | None, repository: str | None, as_json: bool) -> None:
    """Switch a schedule off. Runs that it asked for go on."""
    _switch(dagit, _found(dagit, name, location, repository), "stop", as_json=as_json)


def _switch(dagit: Dagit, item: Mapping[str, Any], order: str, *, as_json: bool) -> None:
    switched = dagit.post("schedules", item["location"], item["repository"], item["name"], order)
    if as_json:
        print_json(switched)
        return
    following = parse(switched["next_tick"])
    tail = f", next tick {relative(following, utc_now())}" if following is not None else ""
    note(f"{full_name(item)} is {status(switched['status'])}{tail}")


@schedule.command("preview")
@click.argument("name", metavar="SCHEDULE")
@click.option("-n", "--count", type=click.IntRange(1, 100), default=5, show_default=True, help="So many ticks.")
@place_options
@json_option
@with_dagit
def preview(
    dagit: Dagit, *, name: str, count: int, location: str | None, repository: str | None, as_json: bool
) -> None:
    """Show a schedule's next ticks by its cron rule, whether or not it is on."""
    item = _found(dagit, name, location, repository)
    answer = dagit.get(
        "schedules", item["location"], item["repository"], item["name"], "preview", query={"count": count}
    )
    if as_json:
        print_json(answer)
        return
    zone = _zone(item["execution_timezone"])
    now = utc_now()
    ticks = [moment for moment in map(parse, answer["ticks"]) if moment is not None]
    rows = [
        (
            moment.astimezone(zone).strftime("%a %Y-%m-%d %H:%M:%S %Z"),
            moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            relative(moment, now),
        )
        for moment in ticks
    ]
    say(table((item["execution_timezone"], "UTC", "WHEN"), rows) if rows else faint("no tick follows"))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):  # this machine lacks the zone that the schedule's has
        return ZoneInfo("UTC") if name == "UTC" else UTC  # type: ignore[return-value]


def _found(dagit: Dagit, name: str, location: str | None, repository: str | None) -> Mapping[str, Any]:
    return find(dagit.get("schedules"), name, what="schedule", location=location, repository=repository)
