"""Dagit's HTTP API with the contract's shapes and a test's answers, on a real local port."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import uvicorn
from dagwire_shared.events import EVENT_TYPES
from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

RUN_ID = "0a1b2c3d-0000-5000-8000-000000000001"
OTHER_ID = "0a1b2c3d-0000-5000-8000-000000000002"
AT = datetime(2026, 6, 10, 12, tzinfo=UTC)


def problem(status: int, code: str, message: str, details: list[dict[str, Any]] | None = None) -> JSONResponse:
    return JSONResponse({"code": code, "message": message, "details": details or []}, status)


def event(kind: str, n: int = 0, **data: Any) -> dict[str, Any]:
    """Return an enveloped event about the run."""
    time = (AT + timedelta(seconds=n)).isoformat()
    return {
        "specversion": "1.0",
        "id": f"e{n}",
        "source": "/t",
        "type": kind,
        "subject": RUN_ID,
        "time": time,
        "data": data,
    }


def kind_of(item: dict[str, Any]) -> str:
    """Return an event's kind."""
    known = EVENT_TYPES.get(item["type"])
    return "run" if known is None else str(known.KIND)


QUEUED = event("dagwire.run.queued", 0, job="weather", requested_by={"kind": "cli", "name": None})
STARTED = event("dagwire.run.started", 1, worker="w", host="box", pid=7)
PLANNED = event("dagwire.run.planned", 2, executor="in_process", steps=[{"key": "load", "depends_on": []}])
STEP = event("dagwire.step.started", 3, step_key="load", pid=7)
LOGGED = event(
    "dagwire.log.written", 4, level="INFO", message="42 rows", step_key="load", stream="log", fields={"n": 42}
)
DEBUG = event("dagwire.log.written", 5, level="DEBUG", message="details", step_key=None, stream="log", fields={})
DONE = event("dagwire.step.succeeded", 6, step_key="load", seconds=0.25)
SUCCEEDED = event("dagwire.run.succeeded", 7, seconds=1.5)
ERROR = {
    "type": "KeyError",
    "message": "'city'",
    "stack": ['File "repo.py", line 3, in load\n    row["city"]'],
    "cause": {"type": "OSError", "message": "gone", "stack": [], "cause": None},
}
STEP_FAILED = event("dagwire.step.failed", 6, step_key="load", seconds=0.25, error=ERROR)
FAILED = event("dagwire.run.failed", 7, cause="step_failed", message="step load failed", error=ERROR, seconds=1.5)
CANCELED = event("dagwire.run.canceled", 7, message="cancelled on request", seconds=1.5)
STORY = [QUEUED, STARTED, PLANNED, STEP, LOGGED, DEBUG, DONE, SUCCEEDED]


def a_run(run_id: str = RUN_ID, **fields: Any) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "location": "examples",
        "repository": "__repository__",
        "job": "weather",
        "status": "SUCCESS",
        "preset": "berlin",
        "tags": {"team": "data"},
        "requested_by": {"kind": "schedule", "name": "daily"},
        "key": "k",
        "requested_at": AT.isoformat(),
        "queued_at": AT.isoformat(),
        "launched_at": AT.isoformat(),
        "started_at": AT.isoformat(),
        "ended_at": (AT + timedelta(seconds=65)).isoformat(),
        "cause": None,
        "message": None,
        "cursor": "1-1",
    } | fields


def a_step(key: str, status: str = "SUCCESS", **fields: Any) -> dict[str, Any]:
    times = {"started_at": AT.isoformat(), "ended_at": AT.isoformat(), "seconds": 0.25}
    return {"key": key, "depends_on": [], "status": status, **times, "reason": None, "error": None} | fields


def a_detail(**fields: Any) -> dict[str, Any]:
    more = {"run_config": {"ops": {"load": {"config": {"limit": 2}}}}, "resolved_config": None, "origin": {}}
    return a_run() | more | {"executor": "in_process", "error": None, "steps": [a_step("load")]} | fields


def a_job(name: str = "weather", location: str = "examples", repository: str = "__repository__") -> dict[str, Any]:
    place = {"location": location, "repository": repository}
    return place | {
        "name": name,
        "description": f"Runs {name}.",
        "tags": {},
        "presets": ["berlin"],
        "schedules": ["daily"],
    }


def a_schedule(name: str = "daily", **fields: Any) -> dict[str, Any]:
    return {
        "location": "examples",
        "repository": "__repository__",
        "name": name,
        "schedule_id": OTHER_ID,
        "job": "weather",
        "preset": "berlin",
        "description": "",
        "cron_schedules": ["0 6 * * *"],
        "execution_timezone": "Europe/Berlin",
        "status": "STOPPED",
        "default_status": "STOPPED",
        "next_tick": None,
        "last_tick": None,
    } | fields


NODE = {
    "name": "load",
    "definition": "load",
    "description": "Load rows.",
    "tags": {},
    "inputs": [],
    "outputs": [{"name": "result", "type": "int", "description": "", "required": True}],
    "required_resources": [],
    "config_schema": None,
    "nodes": [],
}
REPORT = NODE | {
    "name": "report",
    "inputs": [
        {
            "name": "rows",
            "type": "int",
            "description": "",
            "upstream": [{"node": "load", "output": "result"}],
            "has_default": False,
        }
    ],
    "outputs": [],
}


def a_job_detail() -> dict[str, Any]:
    preset = {"name": "berlin", "description": "The Berlin station", "run_config": {}, "tags": {}}
    more = {"executor": "in_process", "nodes": [NODE, REPORT], "presets": [preset], "resources": []}
    config = {"ops": {"load": {"config": {"limit": 10}}}}
    return a_job() | more | {"config_schema": {}, "default_run_config": config, "tags": {"team": "data"}}


Kinds = Annotated[list[str] | None, Query()]


@dataclass
class FakeDagit:
    """What the fake answers, and what it was asked."""

    jobs: list[dict[str, Any]] = field(default_factory=lambda: [a_job()])
    runs: list[dict[str, Any]] = field(default_factory=lambda: [a_run()])
    schedules: list[dict[str, Any]] = field(default_factory=lambda: [a_schedule()])
    detail: dict[str, Any] = field(default_factory=a_detail)
    story: list[dict[str, Any]] = field(default_factory=lambda: list(STORY))
    launch_answers: list[Response] = field(default_factory=list)
    """Answered first, in order; then the launch is accepted."""
    cancel_answer: Response | None = None
    cut_after: int = 0
    """The feed breaks after so many events, each time; 0: never."""
    unknown_feeds: int = 0
    """So many first connections to the feed do not find the run."""
    next_page: str | None = None
    silent: bool = False
    """The feed stays open after its last event."""
    launches: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)
    feeds: list[tuple[str | None, list[str]]] = field(default_factory=list)
    """Last-Event-ID and kinds of each connection."""
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    agents: set[tuple[str, str]] = field(default_factory=set)
    cancels: list[str] = field(default_factory=list)
    url: str = ""

    def reset(self) -> None:
        """Become as new, at the same address."""
        vars(self).update(vars(FakeDagit(url=self.url)))

    def app(self) -> FastAPI:
        """Return the application."""
        app = FastAPI()
        self._jobs(app)
        self._runs(app)
        self._feed(app)
        self._schedules(app)
        return app

    def _jobs(self, app: FastAPI) -> None:
        @app.get("/api/v1/jobs")
        def jobs(user_agent: Annotated[str, Header()], x_dagwire_client: Annotated[str, Header()]) -> Any:
            self.agents.add((user_agent, x_dagwire_client))
            return self.jobs

        @app.get("/api/v1/jobs/{location}/{repository}/{job}")
        def job(location: str, repository: str, job: str) -> Any:
            return a_job_detail() if job == "weather" else problem(404, "job_unknown", f"There is no job {job}.")

    def _runs(self, app: FastAPI) -> None:
        @app.post("/api/v1/runs", status_code=202)
        async def launch(request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> Any:
            self.launches.append((idempotency_key, await request.json()))
            if self.launch_answers:
                return self.launch_answers.pop(0)
            return {"run_id": RUN_ID, "key": idempotency_key, "duplicate": False}

        @app.get("/api/v1/runs")
        def runs(request: Request) -> Any:
            self.queries.append({key: request.query_params.getlist(key) for key in request.query_params})
            return {"runs": self.runs, "next": self.next_page}

        @app.get("/api/v1/runs/{run_id}")
        def run(run_id: str) -> Any:
            return self.detail if run_id == RUN_ID else problem(404, "run_unknown", f"There is no run {run_id}.")

        @app.get("/api/v1/runs/{run_id}/events")
        def events(run_id: str, after: str | None = None, kind: Kinds = None) -> Any:
            if kind is None:
                kind = []
            start = 0 if after is None else int(after.split("-")[1]) + 1
            items = [item for item in self._items()[start:] if not kind or kind_of(item["event"]) in kind][:3]
            return {"events": items, "next": items[-1]["cursor"] if items else None}

        @app.post("/api/v1/runs/{run_id}/cancel", status_code=202)
        def cancel(run_id: str) -> Any:
            self.cancels.append(run_id)
            return self.cancel_answer or {"run_id": run_id}

    def _feed(self, app: FastAPI) -> None:
        @app.get("/api/v1/feed")
        def feed(run: str, kind: Kinds = None, last_event_id: Annotated[str | None, Header()] = None) -> Any:
            self.feeds.append((last_event_id, kind or []))
            if len(self.feeds) <= self.unknown_feeds:
                return problem(404, "run_unknown", f"There is no run {run}.")
            return StreamingResponse(self._frames(last_event_id, kind or []), media_type="text/event-stream")

    def _schedules(self, app: FastAPI) -> None:
        @app.get("/api/v1/schedules")
        def schedules() -> Any:
            return self.schedules

        @app.post("/api/v1/schedules/{location}/{repository}/{name}/{order}")
        def switch(location: str, repository: str, name: str, order: str) -> Any:
            running = order == "start"
            following = (datetime.now(UTC) + timedelta(hours=3, seconds=30)).isoformat() if running else None
            return a_schedule(name, status="RUNNING" if running else "STOPPED", next_tick=following)

        @app.get("/api/v1/schedules/{location}/{repository}/{name}/preview")
        def preview(location: str, repository: str, name: str, count: int) -> Any:
            ticks = [datetime(2099, 6, 10 + n, 4, tzinfo=UTC).isoformat() for n in range(count)]
            return {"ticks": ticks}

    def _items(self) -> list[dict[str, Any]]:
        return [{"cursor": f"1-{n}", "event": item} for n, item in enumerate(self.story)]

    async def _frames(self, last: str | None, kinds: list[str]) -> AsyncIterator[str]:
        yield ": hello\n\n"
        start = 0 if last is None else int(last.split("-")[1]) + 1
        wanted = [item for item in self._items()[start:] if not kinds or kind_of(item["event"]) in kinds]
        for sent, item in enumerate(wanted, 1):
            yield f"event: event\nid: {item['cursor']}\ndata: {json.dumps(item)}\n\n"
            if sent == self.cut_after:
                raise ConnectionResetError("the test cuts the feed")
        yield 'event: caught-up\ndata: {"cursor": "1-9"}\n\n: keep-alive\n\n'
        while self.silent:
            await asyncio.sleep(0.05)
            yield ": keep-alive\n\n"


@contextmanager
def serving(fake: FakeDagit, port: int = 0) -> Iterator[FakeDagit]:
    """Serve the fake on a local port, in a thread of its own."""
    server = uvicorn.Server(uvicorn.Config(fake.app(), port=port, log_level="critical", timeout_graceful_shutdown=0))
    thread = threading.Thread(target=server.run, daemon=True)
    started = threading.Event()
    startup = server.startup

    async def tell(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = tell  # type: ignore[method-assign]  # uvicorn has no other way to hear of it
    thread.start()
    assert started.wait(20)
    fake.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.should_exit = True
        thread.join(20)
