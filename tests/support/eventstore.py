"""For tests of the event store: histories to publish, a real store process to kill, and what table and stream hold."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from dagwire_shared import events
from dagwire_shared.bus import Bus, Delivery, Message
from dagwire_shared.envelope import event_message
from dagwire_shared.ids import run_id_for
from dagwire_shared.streams import EVENTS, Stream
from support.buses import read_to_end

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 30.0


def message(event: events.Event, *, key: str = "run", number: int | str = 0, aggregate: str | None = None) -> Message:
    """An event about the run of ``key`` (or about ``aggregate``), as its producer publishes it."""
    subject = aggregate or run_id_for(key)
    seconds = number if isinstance(number, int) else 0
    return event_message(
        event,
        id=f"{subject}:1:{number}" if isinstance(number, int) else f"{subject}:{number}",
        source="/dagwire/run-worker" if isinstance(number, int) else "/dagwire/launcher",
        subject=subject,
        time=NOON + timedelta(milliseconds=seconds),
    )


def log_messages(count: int, *, key: str = "run", start: int = 0) -> list[Message]:
    """Lines that a run logs."""
    return [
        message(events.LogWritten(level="INFO", message=f"line {number}", step_key="load"), key=key, number=number)
        for number in range(start, start + count)
    ]


def history(key: str = "run", *, logs: int = 3, failed: bool = False) -> list[Message]:
    """Every event of a run of two steps, in the order in which they happen."""
    error = events.ErrorInfo(type="ValueError", message="bad row")
    ending: events.Event = events.RunSucceeded(seconds=1.5)
    second: events.Event = events.StepSucceeded(step_key="save", seconds=0.5)
    if failed:
        second = events.StepFailed(step_key="save", error=error, seconds=0.5)
        ending = events.RunFailed(cause="step_failed", message="1 step failed", error=error, seconds=1.5)
    steps = [events.PlannedStep(key="load"), events.PlannedStep(key="save", depends_on=["load"])]
    by = events.RequestedBy(kind="api", name="test")
    worker: list[events.Event] = [
        events.RunStarted(worker="w", host="h", pid=1),
        events.RunPlanned(executor="in_process", steps=steps, run_config={"ops": {}}),
        events.StepStarted(step_key="load", pid=1),
        *(events.LogWritten(level="INFO", message=f"line {n}", step_key="load") for n in range(logs)),
        events.OutputProduced(step_key="load", output="result"),
        events.AssetMaterialized(step_key="load", asset_key=["weather", "daily"], description=key),
        events.StepSucceeded(step_key="load", seconds=0.5),
        events.StepStarted(step_key="save", pid=1),
        second,
        ending,
    ]
    queued = events.RunQueued(
        key=key, location="weather", repository="weather", job="daily", tags={"team": "a"}, requested_by=by,
        requested_at=NOON,
    )  # fmt: skip
    return [
        message(queued, key=key, number="queued"),
        message(events.RunLaunched(backend="process", worker="1"), key=key, number="launched"),
        *(message(event, key=key, number=number) for number, event in enumerate(worker)),
    ]


class StoreProcess:
    """``python -m dagwire_eventstore`` as a process of its own."""

    def __init__(self, *, nats_url: str, database_url: str, log: Path, **settings: str) -> None:
        self._environment = {
            **os.environ,
            "DAGWIRE_EVENTSTORE_NATS_URL": nats_url,
            "DAGWIRE_EVENTSTORE_DATABASE_URL": database_url,
            "DAGWIRE_EVENTSTORE_CLAIM_SECONDS": "0.2",
            **{f"DAGWIRE_EVENTSTORE_{name.upper()}": value for name, value in settings.items()},
        }
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it may be started again after ``kill``."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "dagwire_eventstore"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it with SIGTERM, and return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(PATIENCE_SECONDS)

    def pause(self) -> None:
        """Freeze it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def said(self, text: str) -> int:
        """How many of its log lines hold ``text``."""
        return sum(text in line for line in self.log.read_text().splitlines())


@contextlib.contextmanager
def store_process(*, nats_url: str, database_url: str, log: Path, **settings: str) -> Iterator[StoreProcess]:
    """Run a store while the context is open."""
    process = StoreProcess(nats_url=nats_url, database_url=database_url, log=log, **settings)
    process.start()
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.resume()
        process.kill()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to PostgreSQL."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def until_stored(bus: Bus, url: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when everything that the stream holds now is stored."""
    position = await bus.streams.position(EVENTS)
    place = (position.epoch, position.last)

    async def behind() -> bool:
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            async with connected(url) as connection:
                found = await connection.fetchrow("SELECT count(*), min((epoch, seq)) FROM progress")
                return bool(found[0] < 16 or tuple(found[1]) < place)
        return True

    await until(behind, False, seconds=seconds, what=f"everything up to {place} is stored")


async def until(ask, answer, *, seconds: float = PATIENCE_SECONDS, what: str) -> None:
    """Return when ``ask()`` gives ``answer``."""
    deadline = time.monotonic() + seconds
    while (said := await ask()) != answer:
        assert time.monotonic() < deadline, f"not within {seconds} s: {what} (now {said!r})"
        await asyncio.sleep(0.02)


async def until_said(process: StoreProcess, text: str, times: int) -> None:
    """Return when the process has logged ``text`` this often."""

    async def often_enough() -> bool:
        return process.said(text) >= times

    await until(often_enough, True, what=f"{times} times {text!r} in {process.log}")


async def stored_ids(url: str) -> list[tuple[int, int, str]]:
    """What the table holds: epoch, sequence and id, in order."""
    async with connected(url) as connection:
        return [tuple(row) for row in await connection.fetch("SELECT epoch, seq, id FROM events ORDER BY epoch, seq")]


async def streamed_ids(bus: Bus, *, epoch: int | None = None) -> list[tuple[int, int, str]]:
    """What the stream holds, as ``stored_ids`` has it."""
    epoch = epoch if epoch is not None else (await bus.streams.position(EVENTS)).epoch
    return [(epoch, one.sequence, one.headers["Nats-Msg-Id"]) for one in await streamed(bus, EVENTS)]


async def streamed(bus: Bus, stream: Stream) -> Sequence[Delivery]:
    """Everything that a stream holds."""
    return await read_to_end(bus, stream)


async def projections(url: str) -> dict[str, list[str]]:
    """Every row of every projection, as text."""
    async with connected(url) as connection:
        return {
            table: [str(row) for row in await connection.fetch(f"TABLE {table} ORDER BY 1, 2")]
            for table in ("runs", "steps", "ticks", "assets")
        }
