"""`dagwire run`: list runs, look at one, follow its log, cancel it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click
import yaml
from dagwire_shared.model import utc_now

from dagwire.cli.dagit import Dagit
from dagwire.cli.exits import ExitCode
from dagwire.cli.feed import TERMINAL, Follower
from dagwire.cli.narrative import level_of, line, trace
from dagwire.cli.options import json_option, print_json, with_dagit
from dagwire.cli.references import IMPLICIT_REPOSITORY, find_run, is_full_id
from dagwire.cli.tables import block, bold, indent, note, say, status, table
from dagwire.cli.times import clock, duration, parse, relative
from dagwire.cli.waiting import wait_for

_STATUSES: Final = ("QUEUED", "STARTING", "STARTED", "CANCELING", "SUCCESS", "FAILURE", "CANCELED")
_KINDS: Final = ("launch", "worker", "run", "step", "data", "log", "engine")
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_RECENT: Final = 200
"""Among so many of the newest runs the beginning of an id is looked up."""


@click.group()
def run() -> None:
    """List runs, look at one, follow its log, cancel it.

    A RUN is written as its id, or as the beginning of a recent one's.
    """


@run.command("list")
@click.option(
    "-s",
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(_STATUSES, case_sensitive=False),
    help="Only in this status; repeatable.",
)
@click.option("-l", "--location", metavar="NAME", help="Only of this code location.")
@click.option("-j", "--job", metavar="NAME", help="Only of this job.")
@click.option("--schedule", metavar="NAME", help="Only those that this schedule asked for.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Only with this tag; repeatable.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="At most so many, newest first."
)
@click.option("--before", metavar="CURSOR", help="The page after the one whose `next` this is.")
@json_option
@with_dagit
def list_runs(
    dagit: Dagit,
    *,
    statuses: Sequence[str],
    location: str | None,
    job: str | None,
    schedule: str | None,
    tags: Sequence[str],
    limit: int,
    before: str | None,
    as_json: bool,
) -> None:
    """List runs, newest first."""
    query = {"location": location, "job": job, "schedule": schedule, "limit": limit, "before": before}
    page = dagit.get("runs", query={**query, "status": list(statuses), "tag": list(tags)})
    if as_json:
        print_json(page)
        return
    if not page["runs"]:
        note("There are no such runs." if any((statuses, location, job, schedule, tags)) else "There are no runs yet.")
        return
    heads = ("RUN", "JOB", "STATUS", "REQUESTED", "TOOK", "BY", "CAUSE")
    say(table(heads, [_row(item) for item in page["runs"]]))
    if page["next"] is not None:
        note(f"There are more: --before {page['next']}, or a larger --limit.")


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    requested = relative(parse(item["requested_at"]), utc_now())
    return item["run_id"], item["job"], status(item["status"]), requested, _took(item), _by(item), item["cause"] or ""


def _took(item: Mapping[str, Any]) -> str:
    started, ended = parse(item["started_at"]), parse(item["ended_at"])
    return "" if started is None else duration((ended or utc_now()) - started)


def _by(item: Mapping[str, Any]) -> str:
    who = item["requested_by"]
    return f"{who['kind']} {who['name']}" if who["name"] else str(who["kind"])


@run.command("show")
@click.argument("reference", metavar="RUN")
@json_option
@with_dagit
def show_run(dagit: Dagit, *, reference: str, as_json: bool) -> None:
    """Show a run: where it is, its steps, and what went wrong."""
    item = dagit.get("runs", _run_id(dagit, reference))
    if as_json:
        print_json(item)
        return
    say(indent(block(_facts(item)), 0))
    if item["run_config"]:
        written = yaml.safe_dump(item["run_config"], sort_keys=False, allow_unicode=True)
        say(f"\n{bold('Run config')}\n{indent(written.rstrip())}")
    if item["steps"]:
        rows = [_step(step) for step in item["steps"]]
        say(f"\n{bold('Steps')}\n{indent(table(('STEP', 'STATUS', 'TOOK', 'REMARK'), rows))}")
    for step in item["steps"]:
        if step["error"]:
            say(f"\n{bold('Step ' + step['key'] + ' failed')}\n{indent(trace(step['error']))}")
    if item["error"]:
        say(f"\n{bold('Error')}\n{indent(trace(item['error']))}")


def _facts(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    now = utc_now()
    job = "/".join(part for part in (item["location"], item["repository"], item["job"]) if part != IMPLICIT_REPOSITORY)
    times = {name: parse(item[f"{name}_at"]) for name in ("requested", "started", "ended")}
    shown = {name: f"{clock(at)}  ({relative(at, now)})" if at is not None else "" for name, at in times.items()}
    return [
        ("run", item["run_id"]),
        ("job", job),
        ("status", status(item["status"])),
        ("cause", item["cause"] or ""),
        ("message", item["message"] or ""),
        ("preset", item["preset"] or ""),
        ("executor", item["executor"] or ""),
        ("by", _by(item)),
        ("key", item["key"]),
        ("tags", ", ".join(f"{key}={value}" for key, value in item["tags"].items())),
        *shown.items(),
        ("took", _took(item)),
    ]


def _step(step: Mapping[str, Any]) -> tuple[str, ...]:
    error = step["error"]
    remark = step["reason"] or (f"{error['type']}: {error['message']}" if error else "")
    return step["key"], status(step["status"]), duration(step["seconds"]), remark


@run.command("logs")
@click.argument("reference", metavar="RUN")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is over; survives broken connections.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Only this kind of event; repeatable.")
@click.option("--level", type=click.Choice(_LEVELS, case_sensitive=False), help="Only from this level up.")
@click.option("--step", metavar="KEY", help="Only of this step.")
@json_option
@with_dagit
def logs(
    dagit: Dagit,
    *,
    reference: str,
    follow: bool,
    kinds: Sequence[str],
    level: str | None,
    step: str | None,
    as_json: bool,
) -> None:
    """Print a run's events: its log, its steps, its data.

    With --json: one JSON object per line, {"cursor": …, "event": …}, as the feed has them.
    """
    run_id = _run_id(dagit, reference)
    for item in _followed(dagit, run_id, kinds) if follow else _stored(dagit, run_id, kinds):
        event = item["event"]
        if not _wanted(event, level, step):
            continue
        say(json.dumps(item, ensure_ascii=False) if as_json else line(event))


def _wanted(event: Mapping[str, Any], level: str | None, step: str | None) -> bool:
    if level is not None and _LEVELS.index(level_of(event)) < _LEVELS.index(level.upper()):
        return False
    return step is None or (event.get("data") or {}).get("step_key") == step


def _stored(dagit: Dagit, run_id: str, kinds: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    while True:
        page = dagit.get("runs", run_id, "events", query={"after": after, "limit": 1000, "kind": list(kinds)})
        yield from page["events"]
        after = page["next"]
        if after is None or not page["events"]:
            return


def _followed(dagit: Dagit, run_id: str, kinds: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    # The run's end is in these kinds, whatever else is asked for.
    asked = (*kinds, "launch", "run") if kinds else ()
    for item in Follower(dagit, run_id, tell=note).items(kinds=tuple(dict.fromkeys(asked))):
        kind = item["event"]["type"]
        if not kinds or _kind(kind) in kinds:
            yield item
        if kind in TERMINAL:
            return


def _kind(event_type: str) -> str:
    family = event_type.split(".")[1]
    launch = {"queued", "launched", "canceling", "dropped", "lost"}
    return "launch" if family == "run" and event_type.rpartition(".")[2] in launch else family


@run.command("cancel")
@click.argument("reference", metavar="RUN")
@click.option("--wait", is_flag=True, help="Wait until it is over.")
@json_option
@with_dagit
def cancel(dagit: Dagit, *, reference: str, wait: bool, as_json: bool) -> None:
    """Ask that a run ends.

    With --wait the exit code is 0 if it was cancelled, 1 if it failed or succeeded before.
    """
    run_id = _run_id(dagit, reference)
    answer = dagit.post("runs", run_id, "cancel")
    if not wait:
        note("Asked to cancel; the run ends when its worker has heard.")
        if as_json:
            print_json(answer)
        return
    ending = wait_for(dagit, run_id)
    if as_json:
        print_json(ending.run())
    canceled = ending.exit_code == ExitCode.RUN_CANCELED
    click.get_current_context().exit(ExitCode.OK if canceled else ExitCode.RUN_FAILED)


def _run_id(dagit: Dagit, reference: str) -> str:
    if is_full_id(reference):
        return reference
    page = dagit.get("runs", query={"limit": _RECENT})
    return find_run([item["run_id"] for item in page["runs"]], reference)
