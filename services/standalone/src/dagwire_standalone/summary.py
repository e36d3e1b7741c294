"""What `dagwire up` tells its user: pure functions from facts to text."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from dagwire_standalone.parts import Plan

_WIDTH = 12


@dataclass(frozen=True, slots=True)
class LocationFact:
    """What a code location turned out to hold."""

    name: str
    jobs: int
    schedules: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunFact:
    """The first run, and how it ended."""

    run_id: str
    job: str
    status: str
    seconds: float | None
    message: str | None = None


def ready(plan: Plan, locations: Sequence[LocationFact], seconds: float) -> str:
    """Return the summary that is printed once everything is up."""
    lines = [
        f"Dagwire is up ({seconds:.1f} s).",
        "",
        _row("Dagit", plan.dagit_url),
        _row("NATS", public(plan.client_nats), f'nats --server "$(cat {plan.directory.private("nats.url")})"'),
        _row("PostgreSQL", public(plan.reader_database), f'psql "$(cat {plan.directory.private("postgres.url")})"'),
        _row("Logs", str(plan.directory.logs)),
        *(_row("Code", _location(location)) for location in locations),
    ]
    return "\n".join(lines)


def public(url: str) -> str:
    """Return an address without its password."""
    parts = urlsplit(url)
    host = f"{parts.username}@{parts.hostname}:{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def first_run(plan: Plan, run: RunFact) -> str:
    """Return the line about the first run."""
    took = f" in {run.seconds:.1f} s" if run.seconds is not None else ""
    said = {"SUCCESS": f"succeeded{took}", "FAILURE": f"failed{took}", "CANCELED": "was cancelled"}
    ended = said.get(run.status, f"is {run.status.lower()}")
    why = f": {run.message}" if run.message and run.status == "FAILURE" else ""
    return _row("First run", f"{run.job} {ended}{why}", f"{plan.dagit_url}/runs/{run.run_id}")


def stopping_hint(plan: Plan) -> str:
    """Return how to stop, and what stays."""
    return f"Stop with Ctrl-C. The history stays in {plan.directory.root}; the next `dagwire up` there goes on with it."


def _location(location: LocationFact) -> str:
    if location.error is not None:
        return f"{location.name} did not load: {location.error}"
    return f"{location.name} ({_count(location.jobs, 'job')}, {_count(location.schedules, 'schedule')})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _row(label: str, value: str, note: str = "") -> str:
    return f"  {label:<{_WIDTH}}{value}" + (f"  ({note})" if note else "")
