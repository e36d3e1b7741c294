"""Dagit as a process, between a real NATS server, an event store process, PostgreSQL and a code server."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from dagwire_standalone.postgres import PostgresServer
from support.codeservers import FakeCodeServer, a_repository, a_schedule
from support.eventstore import StoreProcess, connected, history, store_process, until_stored
from support.nats import NatsServer, free_port, nats_server
from support.postgres import READER, Database, fresh_database

PATIENCE_SECONDS = 30.0


class DagitProcess:
    """``python -m dagwire_dagit``."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.port = free_port()
        self.log = directory / f"dagit-{self.port}.log"
        self._environment = {
            **os.environ,
            "DAGWIRE_DAGIT_PORT": str(self.port),
            **{f"DAGWIRE_DAGIT_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, *, bus: str = "ok", database: str = "ok") -> None:
        """Start, and return when it says this of what it stands on."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "dagwire_dagit", env=self._environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(PATIENCE_SECONDS), self.client() as client:
            while True:
                if self._process.returncode is not None:
                    raise AssertionError(f"dagit ended:\n{self.log.read_text()}")
                with contextlib.suppress(httpx.TransportError):
                    checks = (await client.get("/readyz")).json()["checks"]
                    if (checks["bus"], checks["database"]) == (bus, database):
                        return
                await asyncio.sleep(0.02)

    async def end(self, how: int = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        return await asyncio.wait_for(self._process.wait(), PATIENCE_SECONDS)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=20, trust_env=False)


@dataclass
class Stack:
    """Everything that Dagit stands on, real, and one Dagit. A test that breaks something mends it again."""

    directory: Path
    nats: NatsServer
    bus: JetStreamBus
    database: Database
    store: StoreProcess
    code: FakeCodeServer
    dagit: DagitProcess
    client: httpx.AsyncClient

    def another_dagit(self, **settings: str) -> DagitProcess:
        """A further replica, not started yet."""
        given = {
            "nats_url": self.nats.url,
            "database_url": self.database.reader_url,
            "workspace": str(self.directory / "workspace.yaml"),
            "statement_seconds": "2",
        }
        return DagitProcess(self.directory, **{**given, **settings})

    async def publish(self, key: str, *, logs: int = 3) -> list[str]:
        """Publish all events of a run; return their ids."""
        messages = history(key, logs=logs)
        await self.bus.streams.publish_all(messages)
        return [message.id for message in messages]

    async def stored(self) -> None:
        """Return when everything is stored."""
        await until_stored(self.bus, self.database.url)

    async def table(self, run_id: str) -> list[tuple[str, str]]:
        """What PostgreSQL holds of a run: cursor and id, in order."""
        async with connected(self.database.url) as connection:
            query = "SELECT epoch, seq, id FROM events WHERE aggregate = $1 ORDER BY epoch, seq"
            return [(f"{row['epoch']}-{row['seq']}", row["id"]) for row in await connection.fetch(query, run_id)]


@contextlib.asynccontextmanager
async def running_stack(
    server: PostgresServer, directory: Path, *, postgres_port: int | None = None
) -> AsyncIterator[Stack]:
    """Start everything; PostgreSQL is there already, and reached by way of ``postgres_port`` if one is given."""
    database = fresh_database(server)
    if postgres_port is not None:
        addresses = {name: getattr(database, name) for name in ("url", "reader_url", "superuser_url")}
        ports = f":{server.port}/", f":{postgres_port}/"
        database = replace(database, **{name: address.replace(*ports) for name, address in addresses.items()})
    async with contextlib.AsyncExitStack() as parts:
        nats = await parts.enter_async_context(nats_server(directory / "nats"))
        bus = await parts.enter_async_context(connect(nats.url, name="test"))
        await provision(bus)
        settings = {"nats_url": nats.url, "database_url": database.url, "reader_role": READER}
        store = parts.enter_context(store_process(log=directory / "store.log", **settings))
        code = await parts.enter_async_context(FakeCodeServer(a_repository(a_schedule())))
        workspace(directory, code)
        stack = Stack(directory, nats, bus, database, store, code, None, None)  # type: ignore[arg-type]
        stack.dagit = stack.another_dagit()
        await stack.dagit.start()
        parts.push_async_callback(stack.dagit.end, signal.SIGKILL)
        stack.client = await parts.enter_async_context(stack.dagit.client())
        yield stack


def workspace(directory: Path, code: FakeCodeServer) -> Path:
    """A workspace file that names the code server."""
    address = code.address
    path = directory / "workspace.yaml"
    server = {"host": address.host, "port": address.port, "location_name": address.name}
    path.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
    return path


@dataclass
class Follower:
    """A browser on the live feed: reconnects by itself, with the last id that it saw."""

    url: Callable[[], str]
    query: dict[str, str]
    last: str | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Cursor and id of each event, in the order in which they came."""
    told: int = 0
    connections: int = 0
    hints: list[tuple[str, Any]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await self._follow(client)
                await asyncio.sleep(0.05)

    async def _follow(self, client: httpx.AsyncClient) -> None:
        headers = {"Last-Event-ID": self.last} if self.last else {}
        async with client.stream("GET", f"{self.url()}/api/v1/feed", params=self.query, headers=headers) as answer:
            answer.raise_for_status()
            self.connections += 1
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    self._take(fields)
                    fields = {}
                else:
                    fields = {}

    def _take(self, fields: dict[str, str]) -> None:
        data = json.loads(fields["data"])
        self.last = fields.get("id", self.last)
        match fields["event"]:
            case "event":
                assert fields["id"] == data["cursor"]
                self.seen.append((data["cursor"], data["event"]["id"]))
            case "caught-up":
                self.told += 1
            case name:
                self.hints.append((name, data))
        self._news.set()

    async def until(self, condition: Callable[["Follower"], bool]) -> None:
        """Return when the condition holds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition(self):
                self._news.clear()
                await self._news.wait()


@contextlib.asynccontextmanager
async def following(dagit: DagitProcess, **query: str) -> AsyncIterator[Follower]:
    """A browser that follows while the context is open."""
    follower = Follower(lambda: dagit.url, {key: value for key, value in query.items() if key != "last"})
    follower.last = query.get("last")
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
