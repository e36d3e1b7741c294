"""`dagwire job`: list jobs, look at one, launch one."""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import click
import yaml

from dagwire.cli import config as configs
from dagwire.cli.dagit import Dagit
from dagwire.cli.exits import ExitCode
from dagwire.cli.options import Duration, json_option, place_options, print_json, with_dagit
from dagwire.cli.references import IMPLICIT_REPOSITORY, find, full_name
from dagwire.cli.tables import block, bold, faint, indent, note, say, table
from dagwire.cli.waiting import wait_for


@click.group()
def job() -> None:
    """List jobs, look at one, launch one.

    A JOB is written NAME, LOCATION/NAME or LOCATION/REPOSITORY/NAME.
    """


@job.command("list")
@place_options
@json_option
@with_dagit
def list_jobs(dagit: Dagit, *, location: str | None, repository: str | None, as_json: bool) -> None:
    """List the jobs of every code location."""
    jobs = [
        item
        for item in dagit.get("jobs")
        if location in (None, item["location"]) and repository in (None, item["repository"])
    ]
    if as_json:
        print_json(jobs)
        return
    if not jobs:
        note("There are no jobs (a code location that failed to load shows its error in Dagit).")
        return
    say(table(("JOB", "LOCATION", "REPOSITORY", "PRESETS", "SCHEDULES", "DESCRIPTION"), [_row(item) for item in jobs]))


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    repository = "" if item["repository"] == IMPLICIT_REPOSITORY else item["repository"]
    presets, schedules = ", ".join(item["presets"]), ", ".join(item["schedules"])
    return item["name"], item["location"], repository, presets, schedules, item["description"]


@job.command("show")
@click.argument("name", metavar="JOB")
@place_options
@json_option
@with_dagit
def show_job(dagit: Dagit, *, name: str, location: str | None, repository: str | None, as_json: bool) -> None:
    """Show a job: its ops and what they read, its presets, resources and config."""
    item = _found(dagit, name, location, repository)
    shown = dagit.get("jobs", item["location"], item["repository"], item["name"])
    if as_json:
        print_json(shown)
        return
    say(bold(full_name(shown)))
    if shown["description"]:
        say(indent(shown["description"]))
    tags = ", ".join(f"{key}={value}" for key, value in shown["tags"].items())
    facts = (("executor", shown["executor"]), ("tags", tags), ("schedules", ", ".join(shown["schedules"])))
    say(indent(block(facts)))
    say(f"\n{bold('Ops')}\n{indent(table(('OP', 'READS', 'GIVES', 'DESCRIPTION'), _nodes(shown['nodes'])))}")
    _named("Presets", shown["presets"])
    _named("Resources", shown["resources"])
    if shown["default_run_config"]:
        default = yaml.safe_dump(shown["default_run_config"], sort_keys=False, allow_unicode=True)
        say(f"\n{bold('Run config, with every default')}\n{indent(default.rstrip())}")
    preset = f" --preset {shown['presets'][0]['name']}" if shown["presets"] else ""
    say(faint(f"\ndagwire job launch {full_name(shown)}{preset} --wait"))


def _nodes(nodes: Sequence[Mapping[str, Any]], depth: int = 0) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for node in nodes:
        reads = ", ".join(
            f"{source['node']}.{source['output']}" for given in node["inputs"] for source in given["upstream"]
        )
        gives = ", ".join(
            f"{given['name']}{'' if given['required'] else '?'}: {given['type']}" for given in node["outputs"]
        )
        rows.append(("  " * depth + node["name"], reads, gives, node["description"]))
        rows += _nodes(node["nodes"], depth + 1)
    return rows


def _named(title: str, items: Sequence[Mapping[str, Any]]) -> None:
    if items:
        rows = [(item["name"], item["description"]) for item in items]
        say(f"\n{bold(title)}\n{indent(table(('NAME', 'DESCRIPTION'), rows))}")


def _found(dagit: Dagit, name: str, location: str | None, repository: str | None) -> Mapping[str, Any]:
    return find(dagit.get("jobs"), name, what="job", location=location, repository=repository)


def _tags(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    tags = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{text!r} is no tag: write it KEY=VALUE")
        tags[key] = value
    return tags


@job.command("launch")
@click.argument("name", metavar="JOB")
@click.option("-p", "--preset", metavar="NAME", help="A preset of the job.")
@click.option("-c", "--config", metavar="FILE|JSON|-", help="Run config, YAML or JSON, laid over the preset's.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", callback=_tags, help="Tag the run; repeatable.")
@click.option(
    "--idempotency-key", metavar="KEY", help="The same key never starts a second run; one is made if missing."
)
@click.option(
    "--wait", is_flag=True, help="Follow the run; end with exit code 0, 1 or 3 when it succeeds, fails or is cancelled."
)
@click.option(
    "--timeout", type=Duration(), metavar="TIME", help="With --wait: give up waiting after this (90s, 15m, 2h)."
)
@place_options
@json_option
@with_dagit
def launch_job(
    dagit: Dagit,
    *,
    name: str,
    preset: str | None,
    config: str | None,
    tags: dict[str, str],
    idempotency_key: str | None,
    wait: bool,
    timeout: timedelta | None,
    location: str | None,
    repository: str | None,
    as_json: bool,
) -> None:
    """Launch a job, and print the run's id.

    With --json: what the server answers; with --wait and --json: the run as it ended.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    run_config = {} if config is None else configs.read(config)
    item = _found(dagit, name, location, repository)
    body = {"location": item["location"], "repository": item["repository"], "job": item["name"], "tags": tags}
    body |= {"preset": preset, "run_config": run_config}
    deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
    launched = dagit.launch(body, key=idempotency_key, waiting=lambda why: note(f"{why}; asking again …"))
    if as_json and not wait:
        print_json(launched)
        return
    if not as_json:
        say(launched["run_id"])
    if launched["duplicate"]:
        note("This key was used before: it is that run, no second one was started.")
    note(faint(dagit.page("runs", launched["run_id"])))
    if wait:
        ending = wait_for(dagit, launched["run_id"], deadline=deadline)
        if as_json:
            print_json(ending.run())
        click.get_current_context().exit(ExitCode(ending.exit_code))
