"""One line of text for each event of a run. Pure; an event that this version does not know is shown as it came."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from dagwire.cli.tables import faint, indent, status
from dagwire.cli.times import duration, parse

Data = Mapping[str, Any]


def line(event: Mapping[str, Any]) -> str:
    """Return an event as a line of a log: time, level, step, what happened; an error's stack below it."""
    data: Data = event.get("data") or {}
    level = level_of(event)
    step = data.get("step_key") or ""
    mark = status(level) + " " * (8 - len(level))
    # Where a step failed, the step's own event has shown the error.
    error = None if data.get("cause") == "step_failed" else data.get("error")
    text = f"{faint(_at(event))}  {mark} {step + '  ' if step else ''}{describe(event)}"
    return f"{text}\n{indent(trace(error), 4)}" if error else text


def _at(event: Mapping[str, Any]) -> str:
    moment = parse(event.get("time"))
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def level_of(event: Mapping[str, Any]) -> str:
    """Return the level under which an event is shown."""
    kind: str = event["type"]
    if kind in {"dagwire.run.failed", "dagwire.run.lost", "dagwire.step.failed", "dagwire.tick.failed"}:
        return "ERROR"
    if kind in {"dagwire.run.canceled", "dagwire.run.dropped", "dagwire.run.canceling", "dagwire.worker.delayed"}:
        return "WARNING"
    data: Data = event.get("data") or {}
    if kind == "dagwire.step_worker.ended" and data.get("cause"):
        return "ERROR"
    if kind == "dagwire.data.expectation_checked" and not data.get("success"):
        return "WARNING"
    return str(data.get("level", "INFO"))


def describe(event: Mapping[str, Any]) -> str:
    """Return what happened."""
    data: Data = event.get("data") or {}
    known = _LINES.get(event["type"])
    if known is None:
        return f"{event['type']} {json.dumps(data, ensure_ascii=False)}"
    return known(data)


def trace(error: Mapping[str, Any]) -> str:
    """Return an exception with its stack and its chain of causes, the first cause first, as Python prints it."""
    parts = []
    following: Mapping[str, Any] | None = error
    while following is not None:
        stack = [indent(frame) for frame in following.get("stack") or []]
        parts.append("\n".join([*stack, f"{following['type']}: {following['message']}"]))
        following = following.get("cause")
    return "\nwhich led to:\n".join(reversed(parts))


def _log(data: Data) -> str:
    fields = data.get("fields") or {}
    known = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
    message = str(data["message"])
    return f"{message}  {faint(known)}" if known else message


def _by(data: Data) -> str:
    who = data.get("requested_by") or {}
    name = f" {who['name']}" if who.get("name") else ""
    return f"{who.get('kind', 'somebody')}{name}"


def _planned(data: Data) -> str:
    count = len(data["steps"])
    return f"{count} step{'' if count == 1 else 's'} to do ({data['executor']})"


def _loaded(data: Data) -> str:
    upstream = ", ".join(data.get("upstream") or [])
    return f"input {data['input']} loaded" + (f" from {upstream}" if upstream else "")


def _metadata(data: Data) -> str:
    entries = data.get("metadata") or {}
    shown = ", ".join(f"{name}: {entry.get('value')}" for name, entry in entries.items() if entry.get("kind") in _SHORT)
    return f"  {faint(shown)}" if shown else ""


_SHORT: Final = frozenset({"text", "url", "path", "int", "float", "bool", "timestamp"})


def _expectation(data: Data) -> str:
    return f"expectation {data['label']} {'holds' if data['success'] else 'does not hold'}{_metadata(data)}"


def _dropped(data: Data) -> str:
    how = "its worker did not stop and was ended" if data.get("forced") else "before a worker had started"
    return f"run cancelled by {_by(data)}: {how}"


def _again(data: Data) -> str:
    attempt = data.get("attempt", 1)
    return f" (attempt {attempt})" if attempt > 1 else ""


def _worker_ended(data: Data) -> str:
    return f"worker {data['worker']} ended" + (f": {data['message']}" if data.get("message") else "")


_LINES: Final[Mapping[str, Callable[[Data], str]]] = {
    "dagwire.run.queued": lambda data: f"run of {data['job']} queued, asked for by {_by(data)}",
    "dagwire.run.launched": lambda data: f"worker {data['worker']} created ({data['backend']})",
    "dagwire.run.canceling": lambda data: f"cancel asked for by {_by(data)}",
    "dagwire.run.dropped": _dropped,
    "dagwire.run.lost": lambda data: f"run failed: {data['message']}",
    "dagwire.worker.delayed": lambda data: f"worker delayed: {data['message']}",
    "dagwire.step_worker.requested": lambda data: "worker asked for" + _again(data),
    "dagwire.step_worker.released": lambda data: "worker to be ended" + _again(data),
    "dagwire.step_worker.ended": _worker_ended,
    "dagwire.run.started": lambda data: f"run started on {data['host']}, process {data['pid']}",
    "dagwire.run.planned": _planned,
    "dagwire.run.succeeded": lambda data: f"run succeeded in {duration(data['seconds'])}",
    "dagwire.run.failed": lambda data: f"run failed after {duration(data['seconds'])}: {data['message']}",
    "dagwire.run.canceled": lambda data: f"run cancelled: {data['message']}",
    "dagwire.step.started": lambda data: f"started, process {data['pid']}",
    "dagwire.step.succeeded": lambda data: f"succeeded in {duration(data['seconds'])}",
    "dagwire.step.failed": lambda data: f"failed after {duration(data['seconds'])}",
    "dagwire.step.skipped": lambda data: f"skipped: {data['reason']}",
    "dagwire.data.input_loaded": _loaded,
    "dagwire.data.output_produced": lambda data: f"output {data['output']} produced{_metadata(data)}",
    "dagwire.data.asset_materialized": lambda data: f"asset {'/'.join(data['asset_key'])} written{_metadata(data)}",
    "dagwire.data.expectation_checked": _expectation,
    "dagwire.log.written": _log,
    "dagwire.engine.noted": _log,
}
