"""The scheduler and the real code server: what a person writes in a file happens, and edits take effect."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from dagwire_shared.bus import Bus
from dagwire_shared.envelope import decode
from dagwire_shared.events import Event, TickFailed, TickRequested, TickSkipped
from dagwire_shared.ids import schedule_id_for
from dagwire_shared.locations import CodeServer, Locations, Status
from dagwire_shared.records import CodeLocation, location_key
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import Kind, kind_filter
from support.codeservers import FakeCodeServer, running
from support.scheduling import requests, until_cursor

CODE = """
    from dagwire import DefaultScheduleStatus, Preset, RunRequest, SkipReason, job, op, repository, schedule

    RUNNING = DefaultScheduleStatus.RUNNING

    @op(config_schema={"limit": int})
    def load(context): ...

    FAST = {"dagwire/kubernetes": {"nodeSelector": {"disk": "fast"}}}

    @job(tags={"team": "data", **FAST}, presets=[Preset("small", {"ops": {"load": {"config": {"limit": 1}}}})])
    def etl():
        load()

    @schedule("* * * * * *", job=etl, preset="small", default_status=RUNNING)
    def runs(context):
        return RunRequest(run_config={}, tags={"second": str(context.scheduled_execution_time.second)})

    @schedule("* * * * * *", job=etl, default_status=RUNNING)
    def several(context):
        yield RunRequest(run_key="a", preset="small")
        yield RunRequest(run_key="b", preset="small")

    @schedule("* * * * * *", job=etl, default_status=RUNNING)
    def rests(context):
        return SkipReason("nothing new")

    @schedule("* * * * * *", job=etl, default_status=RUNNING)
    def breaks(context):
        raise LookupError("no such table")

    @repository
    def main():
        return [etl, runs, several, rests, breaks]
"""


class CodeProcess:
    """A code server as the scheduler's fixture wants it: a name and a port."""

    def __init__(self, file: Path) -> None:
        self.name = "code"
        self.file = file
        self.port = 0

    def write(self, text: str) -> None:
        partial = self.file.with_suffix(".part")
        partial.write_text(dedent(text))
        partial.replace(self.file)


@pytest.fixture
async def code(tmp_path: Path) -> AsyncIterator[FakeCodeServer | CodeProcess]:
    served = CodeProcess(tmp_path / "code" / "repo.py")
    served.file.parent.mkdir()
    served.write(CODE)
    command = [sys.executable, "-m", "dagwire.cli", "api", "grpc", "-f", str(served.file), "-p", "0", "--watch"]
    command += ["--container-context", '{"k8s": {"serviceAccountName": "etl"}}', "--container-image", "team/etl:7"]
    with (tmp_path / "code.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    assert line, (tmp_path / "code.log").read_text()
    served.port = json.loads(line)["port"]
    yield served
    process.kill()
    await process.wait()


async def until_event(bus: Bus, wanted: Callable[[Event], bool]) -> Event:
    async with asyncio.timeout(60), aclosing(bus.streams.follow(EVENTS, subjects=[kind_filter(Kind.TICK)])) as batches:
        async for batch in batches:
            for delivery in batch.deliveries:
                event = decode(delivery.body).event
                if event is not None and wanted(event):
                    return event
    raise AssertionError


async def test_what_schedules_of_a_file_ask_for_is_requested_and_recorded(bus, code, start):
    await start()
    tick = await until_event(bus, lambda event: isinstance(event, TickRequested) and event.schedule == "runs")
    several = await until_event(bus, lambda event: isinstance(event, TickRequested) and event.schedule == "several")
    rest = await until_event(bus, lambda event: isinstance(event, TickSkipped))
    failure = await until_event(bus, lambda event: isinstance(event, TickFailed))
    made = [request for request in await requests(bus) if request.requested_by.name == "runs"]
    assert made[0].preset == "small"
    assert made[0].tags["team"] == "data"
    assert made[0].tags["second"] == str(tick.nominal_time.second)
    assert len(set(several.run_ids)) == 2
    assert (rest.schedule, rest.reason, rest.missed) == ("rests", "nothing new", False)
    assert (failure.schedule, failure.error.type, failure.error.message) == ("breaks", "LookupError", "no such table")
    assert "repo.py" in failure.error.stack[-1]


async def test_what_pods_shall_be_like_reaches_the_launchers_record(bus, code, start):
    await start()
    await until_event(bus, lambda event: isinstance(event, TickSkipped) and event.schedule == "rests")
    entry = await bus.state.get(location_key("code"))
    record = CodeLocation.model_validate_json(entry.value)
    assert record.image == "team/etl:7"
    assert record.container_context == {"k8s": {"serviceAccountName": "etl"}}
    assert record.container_configs == {"main": {"etl": {"nodeSelector": {"disk": "fast"}}}}


async def test_broken_code_delays_its_ticks_and_the_next_edit_brings_them(bus, code, start):
    await start()
    await until_event(bus, lambda event: isinstance(event, TickRequested) and event.schedule == "runs")
    locations = Locations([CodeServer(name="code", host="127.0.0.1", port=code.port)])
    async with running(locations.run()):
        code.write("this is no Python")
        await until_status(locations, Status.FAILED)
        broken_at = datetime.now(UTC)
        await asyncio.sleep(2.5)  # the time in which ticks wait
        code.write(CODE.replace("nothing new", "still nothing"))
        await until_status(locations, Status.LOADED)
        repaired_at = datetime.now(UTC)
    waited = await until_event(
        bus, lambda event: isinstance(event, TickRequested) and broken_at < event.nominal_time < repaired_at
    )
    assert waited.nominal_time.microsecond == 0
    await until_event(bus, lambda event: isinstance(event, TickSkipped) and event.reason == "still nothing")


async def test_a_schedule_taken_out_of_the_file_stops(bus, code, start):
    await start()
    await until_event(bus, lambda event: isinstance(event, TickSkipped) and event.schedule == "rests")
    code.write(CODE.replace("[etl, runs, several, rests, breaks]", "[etl, runs]"))
    await until_cursor(bus, lambda cursor: not cursor.active, schedule_id_for("code", "main", "rests"))
    entry = await bus.state.get(location_key("code"))
    assert CodeLocation.model_validate_json(entry.value).repositories == {"main": ["etl"]}


async def until_status(locations: Locations, status: Status) -> None:
    async with asyncio.timeout(30), aclosing(locations.changes()) as changes:
        async for location in changes:
            if location.status is status:
                return
