"""A stage for the launcher and its workers: processes, code, requests, and what was said on the bus."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.command import command_line, for_step
from dagwire_shared.bus import Bus, Message
from dagwire_shared.commands import CancelRun, LaunchRun, RequestRun, RunCode
from dagwire_shared.envelope import Envelope, decode, encode
from dagwire_shared.events import RequestedBy
from dagwire_shared.ids import RunId, run_id_for
from dagwire_shared.records import CodeLocation, CodePointer, location_key
from dagwire_shared.streams import EVENTS, QUEUE, REQUESTS
from dagwire_shared.subjects import control_subject, event_filter, queue_subject, request_subject
from support.buses import read_to_end

PATIENCE_SECONDS = 60.0

CODE = '''
"""A small repository for tests."""
import os
import time

from dagwire import job, op


@op
def hello():
    return 1


@job
def one_op():
    hello()


@op
def wait_for_file(context):
    """Run until the file named by a tag is there."""
    print("waiting", flush=True)
    while not os.path.exists(context.get_tag("file")):
        time.sleep(0.01)
    return 1


@op
def talk(context):
    """Write log lines until the file named by a tag is there."""
    number = 0
    while not os.path.exists(context.get_tag("file")):
        context.log.info("line %s", number)
        number += 1
        time.sleep(0.002)
    context.log.info("lines: %s", number)


@op
def ignore_everything(context):
    """Cannot be canceled."""
    while True:
        try:
            while True:
                time.sleep(0.05)
        except BaseException:
            pass


@op
def many_lines(context):
    for number in range(int(context.get_tag("lines"))):
        context.log.info("line %s", number)


@job
def waiting():
    wait_for_file()


@job
def talking():
    talk()


@job
def stubborn():
    ignore_everything()


@job
def loud():
    many_lines()
'''


def location(
    directory: Path, *, name: str = "here", code: str = CODE, executable: str = sys.executable
) -> CodeLocation:
    """A code location of one file, which is written into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "repo.py"
    file.write_text(textwrap.dedent(code))
    pointer = CodePointer(python_file=str(file), working_directory=str(directory), executable=executable)
    return CodeLocation(name=name, definitions_hash="abc", pointer=pointer)


async def serve(bus: Bus, place: CodeLocation) -> None:
    """Write a code location's record, as the scheduler does."""
    await bus.state.put(location_key(place.name), place.model_dump_json().encode())


def a_request(key: str, job: str = "one_op", **fields: Any) -> RequestRun:
    """A request for a run of the code above."""
    return RequestRun(**{"key": key, "key_time": datetime.now(UTC), "location": "here", "job": job, **fields})


def request_message(request: RequestRun, *, message_id: str | None = None, traceparent: str | None = None) -> Message:
    """The message that asks for a run."""
    message_id = message_id or f"request:{request.key}"
    body = encode(
        request,
        id=message_id,
        source="/test",
        subject=run_id_for(request.key),
        time=datetime.now(UTC),
        traceparent=traceparent,
    )
    return Message(request_subject(request.key), body, message_id)


async def request_run(bus: Bus, key: str, job: str = "one_op", **fields: Any) -> RunId:
    """Ask for a run."""
    await bus.streams.publish(request_message(a_request(key, job, **fields)))
    return run_id_for(key)


async def cancel_run(bus: Bus, run_id: RunId, *, by: str = "tester") -> None:
    """Order that a run ends."""
    command = CancelRun(run_id=run_id, requested_by=RequestedBy(kind="bus", name=by))
    body = encode(command, id=f"{run_id}:cancel", source="/test", subject=run_id, time=datetime.now(UTC))
    await bus.streams.publish(Message(control_subject(run_id), body, f"{run_id}:cancel"))


def launch_body(request: RequestRun, *, traceparent: str | None = None) -> bytes:
    """What stands on the queue and in a launch file."""
    run_id = run_id_for(request.key)
    order = LaunchRun(run_id=run_id, request=request)
    return encode(
        order, id=f"{run_id}:launch", source="/test", subject=run_id, time=datetime.now(UTC), traceparent=traceparent
    )


def an_order(run_id: RunId, *, code: RunCode, message: bytes = b'{"a": 1}') -> WorkerOrder:
    """What a worker is created from."""
    return WorkerOrder(run_id=run_id, job="one_op", location="here", message=message, code=code)


async def said(bus: Bus, run_id: RunId) -> list[Envelope]:
    """All events about a run, in the stream's order."""
    return [decode(one.body) for one in await read_to_end(bus, EVENTS, subjects=[event_filter(run_id)])]


async def types_said(bus: Bus, run_id: RunId) -> list[str]:
    """The types of all events about a run."""
    return [one.type for one in await said(bus, run_id)]


TERMINAL = {f"dagwire.run.{word}" for word in ("succeeded", "failed", "canceled", "lost", "dropped")}


async def until_said(
    bus: Bus,
    run_id: RunId,
    wanted: Callable[[Envelope], bool] | str | None = None,
    *,
    seconds: float = PATIENCE_SECONDS,
) -> list[Envelope]:
    """All events about a run, as soon as the wanted one is among them: of a type, or by default the first end."""
    found: list[Envelope] = []

    def is_wanted(envelope: Envelope) -> bool:
        if callable(wanted):
            return wanted(envelope)
        return envelope.type in TERMINAL if wanted is None else envelope.type == wanted

    try:
        async with (
            asyncio.timeout(seconds),
            contextlib.aclosing(bus.streams.follow(EVENTS, subjects=[event_filter(run_id)])) as following,
        ):
            async for batch in following:
                for delivery in batch.deliveries:
                    found.append(decode(delivery.body))
                    if is_wanted(found[-1]):
                        return found
    except TimeoutError:
        raise AssertionError(f"not said of {run_id}: {wanted}; but {[one.type for one in found]}") from None
    raise AssertionError("unreachable")


async def until_off_queue(bus: Bus, run_id: RunId) -> None:
    """Return when the queue does not hold the run."""
    await until(lambda: _off_queue(bus, run_id), what=f"{run_id} leaves the queue")


async def _off_queue(bus: Bus, run_id: RunId) -> bool:
    return await bus.streams.last(QUEUE, queue_subject(run_id)) is None


async def until_admitted(bus: Bus) -> None:
    """Return when no request waits for the launcher (the queue is as long as it will be)."""
    last = (await bus.streams.position(REQUESTS)).last

    async def admitted() -> bool:
        answer = await bus.streams.ask(f"CONSUMER.INFO.{REQUESTS.name}.launcher", None)  # type: ignore[attr-defined]
        return answer.error is None and answer.content["ack_floor"]["stream_seq"] >= last

    await until(admitted, what="every request is acknowledged")


async def until(ask: Callable[[], Any], *, what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when the answer is yes."""
    try:
        async with asyncio.timeout(seconds):
            while not await ask():  # noqa: ASYNC110 -- other processes tell of no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"did not happen: {what}") from None


class LauncherProcess:
    """``python -m dagwire_launcher`` as a process of its own."""

    def __init__(self, *, nats_url: str, directory: Path, log: Path, **settings: object) -> None:
        self.directory = directory
        self._environment = {
            **os.environ,
            "DAGWIRE_LAUNCHER_NATS_URL": nats_url,
            "DAGWIRE_LAUNCHER_DIRECTORY": str(directory),
            **{f"DAGWIRE_LAUNCHER_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **more: str) -> None:
        """Start it; it may be started again after ``kill``."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dagwire_launcher"],
                env={**self._environment, **more},
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Freeze it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> int:
        """End it with SIGTERM, and return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.to_thread(self._process.wait, PATIENCE_SECONDS)

    def text(self) -> str:
        """Its log."""
        return self.log.read_text()


class WorkerProcess:
    """``python -m dagwire.worker`` as a process of its own, started by hand."""

    def __init__(
        self,
        place: CodeLocation,
        launch: bytes,
        directory: Path,
        *,
        nats_url: str,
        step: tuple[str, int] | None = None,
        **settings: object,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        launch_file = directory / "launch.json"
        launch_file.write_bytes(launch)
        self.log = directory / "output.log"
        environment = {
            **os.environ,
            "DAGWIRE_WORKER_NATS_URL": nats_url,
            "DAGWIRE_WORKER_STORAGE_DIRECTORY": str(directory / "storage"),
            "DAGWIRE_WORKER_SPOOL_DIRECTORY": str(directory / "spool"),
            **{f"DAGWIRE_WORKER_{name.upper()}": str(value) for name, value in settings.items()},
        }
        command = command_line(place.pointer, launch_file)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command if step is None else for_step(command, *step),
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ended(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Its exit code."""
        return await asyncio.to_thread(self.process.wait, seconds)

    def text(self) -> str:
        """What it wrote."""
        return self.log.read_text()

    def kill(self) -> None:
        """End it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def worker_pids(directory: Path) -> list[int]:
    """The living worker processes of a launcher's directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            session = (entry / "stat").read_text().rpartition(")")[2].split()[3]
        except OSError:
            continue
        mine = b"dagwire.worker" in words and any(word.startswith(str(directory).encode()) for word in words)
        if mine and session == entry.name:
            found.append(int(entry.name))
    return found


@contextlib.asynccontextmanager
async def launchers(nats_url: str, base: Path, **settings: object) -> AsyncIterator[Callable[..., LauncherProcess]]:
    """Make launcher processes; at the end all of them are gone, and their workers."""
    made: list[LauncherProcess] = []

    def make(name: str = "a", **more: object) -> LauncherProcess:
        directory = Path(str(more.pop("directory", base / "runs")))
        one = LauncherProcess(
            nats_url=nats_url, directory=directory, log=base / f"launcher-{name}.log", **{**settings, **more}
        )
        made.append(one)
        one.start()
        return one

    try:
        yield make
    finally:
        for one in made:
            one.kill()
        for directory in {one.directory for one in made}:
            for pid in worker_pids(directory):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)


def counts(events: Sequence[Envelope]) -> dict[str, int]:
    """How often each event id came."""
    found: dict[str, int] = {}
    for one in events:
        found[one.id] = found.get(one.id, 0) + 1
    return found
