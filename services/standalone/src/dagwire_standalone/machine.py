"""The whole of Dagwire on this machine: what starts when, and how it all ends."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from dagwire_launcher.users import ACCOUNT
from dagwire_shared.jetstream import connect, provision

from dagwire_standalone import parts, ports
from dagwire_standalone.client import Dagit
from dagwire_standalone.database import READER_ROLE, STORE_ROLE, Database
from dagwire_standalone.directory import Directory
from dagwire_standalone.errors import PartFailedError
from dagwire_standalone.parts import Code, Plan
from dagwire_standalone.processes import Part, Supervisor

log = logging.getLogger(__name__)

READY_SECONDS = 60.0
"""How long a start may take before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user chose."""

    directory: Directory
    host: str
    dagit_port: int
    nats_port: int
    postgres_port: int
    codes: Sequence[Code]
    log_level: str
    max_concurrent_runs: int


class Machine:
    """A running Dagwire."""

    def __init__(self, plan: Plan, supervisors: Sequence[Supervisor], database: asyncio.Task[None]) -> None:
        """Hold what ``started`` has started."""
        self.plan = plan
        self.dagit = Dagit(plan.dagit_url)
        self._supervisors = supervisors
        self._database = database

    async def failed(self) -> None:
        """Wait until something ends that a restart cannot mend.

        Raises:
            PartFailedError: that is what happened.
        """
        waits = [asyncio.ensure_future(supervisor.ended()) for supervisor in self._supervisors]
        try:
            done, _ = await asyncio.wait([*waits, self._database], return_when=asyncio.FIRST_COMPLETED)
            for finished in done:
                finished.result()
        finally:
            for wait in waits:
                wait.cancel()


@asynccontextmanager
async def started(options: Options) -> AsyncIterator[Machine]:
    """Start every part, yield the machine when Dagit answers, and stop every part at the end.

    Raises:
        StandaloneError: it cannot run here; the message says why.
    """
    directory = options.directory
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(directory.locked())
        ports.check(options.host, options.dagit_port, use="Dagit", option="--port")
        ports.check(options.host, options.nats_port, use="The NATS server", option="--nats-port")
        ports.check(options.host, options.postgres_port, use="PostgreSQL", option="--postgres-port")
        database = Database(directory.postgres, host=options.host, port=options.postgres_port)
        supervisors: list[Supervisor] = []
        ready = asyncio.Event()

        def on_line(name: str, line: bytes) -> None:
            if ready.is_set():  # before, parts complain that others are not there yet
                echo(name, line)

        async def start(part: Part) -> None:
            supervisor = Supervisor(part, inherit=lock, on_line=on_line)
            stack.push_async_callback(supervisor.stop)
            await supervisor.start()
            supervisors.append(supervisor)

        stack.callback(database.stop)
        database.start()
        keeper = asyncio.create_task(database.keep())
        stack.push_async_callback(_cancelled, keeper)
        plan = _plan(options, database)
        _write_files(plan)
        await start(parts.nats_server(plan))
        for code in plan.codes:
            await start(parts.code_server(plan, code))
        async with connect(plan.nats_of("launcher"), name="dagwire-up", inbox_prefix="_INBOX_launcher") as bus:
            await provision(bus)
        for service in (parts.event_store, parts.scheduler, parts.launcher, parts.dagit):
            await start(service(plan))
        machine = Machine(plan, supervisors, keeper)
        stack.push_async_callback(machine.dagit.close)
        await _ready(machine)
        ready.set()
        yield machine


async def _ready(machine: Machine) -> None:
    failure = asyncio.ensure_future(machine.failed())
    ready = asyncio.ensure_future(machine.dagit.ready())
    try:
        done, _ = await asyncio.wait([failure, ready], timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in (failure, ready):
            waiter.cancel()
    for finished in done:
        finished.result()
    if not done:
        raise PartFailedError(
            f"Dagit did not become ready within {READY_SECONDS:.0f} s: its log and the other parts' are in "
            f"{machine.plan.directory.logs}."
        )


def _plan(options: Options, database: Database) -> Plan:
    return Plan(
        directory=options.directory,
        host=options.host,
        dagit_port=options.dagit_port,
        nats_port=options.nats_port,
        store_database=database.url(STORE_ROLE),
        reader_database=database.url(READER_ROLE),
        codes=options.codes,
        log_level=options.log_level,
        max_concurrent_runs=options.max_concurrent_runs,
    )


def _write_files(plan: Plan) -> None:
    directory = plan.directory
    directory.workspace.write_text(parts.workspace(plan), encoding="utf-8")
    directory.adopt_streams(ACCOUNT)
    directory.keep_private("nats.json", parts.nats_configuration(plan))
    directory.keep_private("nats.url", plan.client_nats)
    directory.keep_private("postgres.url", plan.reader_database)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def echo(name: str, line: bytes) -> None:
    """Show on the terminal what a part warns of; everything is in its log file."""
    with suppress(ValueError, TypeError, AttributeError):
        record = json.loads(line)
        if record.get("level") in {"WARNING", "ERROR", "CRITICAL"}:
            print(f"  {name}: {record['message']}", file=sys.stderr)  # noqa: T201 -- this is the terminal
