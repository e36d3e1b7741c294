"""Code locations over real gRPC connections: a server that changes, breaks, goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.locations import (
    CodeServerError,
    InvalidRequestError,
    Location,
    Locations,
    LocationTimeoutError,
    LocationUnavailableError,
    NotFoundError,
    Status,
)
from support.codeservers import FakeCodeServer, a_repository, a_schedule, running

TICK = datetime(2026, 1, 1, 2, tzinfo=UTC)


async def until(changes: AsyncIterator[Location], wanted: Callable[[Location], bool]) -> Location:
    async with asyncio.timeout(20):
        async for location in changes:
            if wanted(location):
                return location
    raise AssertionError


def is_(status: Status) -> Callable[[Location], bool]:
    return lambda location: location.status is status


@pytest.fixture
async def server():
    async with FakeCodeServer(a_repository(a_schedule())) as server:
        yield server


async def test_a_reachable_server_is_loaded_with_all_its_definitions(server):
    locations = Locations([server.address])
    assert locations.get("code").status is Status.LOADING
    async with running(locations.run()):
        loaded = await until(locations.changes(), is_(Status.LOADED))
    assert [schedule.name for schedule in loaded.repositories["main"].schedules] == ["nightly"]
    assert loaded.server.code_pointer.python_file == "/code/repo.py"
    assert loaded.definitions_hash
    assert loaded.loaded_at is not None
    assert not loaded.stale


async def test_a_change_of_definitions_is_seen_at_once(server):
    locations = Locations([server.address])
    async with running(locations.run()):
        changes = locations.changes()
        before = await until(changes, is_(Status.LOADED))
        await server.define(a_repository(a_schedule("hourly")))
        after = await until(changes, lambda found: found.definitions_hash != before.definitions_hash)
    assert [schedule.name for schedule in after.repositories["main"].schedules] == ["hourly"]


async def test_broken_code_shows_its_error_and_keeps_the_last_good_definitions(server):
    locations = Locations([server.address])
    async with running(locations.run()):
        changes = locations.changes()
        good = await until(changes, is_(Status.LOADED))
        await server.fail("invalid syntax")
        broken = await until(changes, is_(Status.FAILED))
        await server.define(a_repository())
        repaired = await until(changes, is_(Status.LOADED))
    assert broken.error.message == "invalid syntax"
    assert broken.error.stack == ["File repo.py, line 1"]
    assert broken.stale
    assert broken.repositories == good.repositories
    assert repaired.error is None
    assert not repaired.repositories["main"].schedules


async def test_a_server_that_never_loaded_is_failed_without_definitions(server):
    await server.fail("no module named pandas")
    locations = Locations([server.address])
    async with running(locations.run()):
        broken = await until(locations.changes(), is_(Status.FAILED))
    assert not broken.stale
    assert not broken.repositories


async def test_a_server_that_comes_back_is_found_without_anybody_reloading(server):
    locations = Locations([server.address])
    async with running(locations.run()):
        changes = locations.changes()
        await until(changes, is_(Status.LOADED))
        await server.stop()
        away = await until(changes, is_(Status.UNREACHABLE))
        with pytest.raises(LocationUnavailableError, match="cannot be asked now"):
            await locations.evaluate_schedule("code", "main", "nightly", scheduled_time=TICK)
        await server.define(a_repository(a_schedule("new")))
        await server.start()
        back = await until(changes, is_(Status.LOADED))
    assert away.stale
    assert away.repositories["main"].schedules[0].name == "nightly"
    assert str(server.port) in away.error.message
    assert back.repositories["main"].schedules[0].name == "new"


async def test_a_server_that_starts_late_is_found():
    server = FakeCodeServer(a_repository())
    await server.start()
    await server.stop()
    locations = Locations([server.address])
    async with running(locations.run()):
        changes = locations.changes()
        away = await until(changes, is_(Status.UNREACHABLE))
        assert not away.stale
        async with server:
            await until(changes, is_(Status.LOADED))


async def test_one_location_away_leaves_the_others_alone(server):
    gone = FakeCodeServer(name="gone")
    await gone.start()
    await gone.stop()
    locations = Locations([gone.address, server.address])
    async with running(locations.run()):
        await until(locations.changes(), lambda found: found.name == "code" and found.status is Status.LOADED)
        answer = await locations.evaluate_schedule("code", "main", "nightly", scheduled_time=TICK)
    assert len(answer.run_requests) == 1
    assert server.evaluations == [("nightly", TICK)]


async def test_every_listener_sees_the_present_and_each_change(server):
    locations = Locations([server.address])
    async with running(locations.run()):
        first, second = locations.changes(), locations.changes()
        await until(first, is_(Status.LOADED))
        await server.fail("broken")
        await until(first, is_(Status.FAILED))
        assert (await anext(second)).status is Status.FAILED


async def test_a_slow_listener_gets_the_last_state_not_a_backlog(server):
    locations = Locations([server.address])
    async with running(locations.run()):
        slow, quick = locations.changes(), locations.changes()
        await until(slow, is_(Status.LOADED))
        await until(quick, is_(Status.LOADED))
        for number in range(5):
            await server.define(a_repository(a_schedule(f"version_{number}")))
            await until(quick, lambda found: found.repositories["main"].schedules[0].name == f"version_{number}")  # noqa: B023 -- awaited here
        assert (await anext(slow)).repositories["main"].schedules[0].name == "version_4"


async def test_questions_are_passed_on_with_typed_errors(server):
    locations = Locations([server.address])
    async with running(locations.run()):
        await until(locations.changes(), is_(Status.LOADED))
        valid = await locations.validate_run_config("code", "main", "etl", run_config={"ops": {}})
        assert valid.run_config_json == '{"ops": {}}'
        plan = await locations.execution_plan("code", "main", "etl")
        assert [step.key for step in plan.steps] == ["load"]
        with pytest.raises(InvalidRequestError, match="no such op"):
            await locations.execution_plan("code", "main", "etl", run_config={"ops": {"x": {}}})
        with pytest.raises(NotFoundError, match="no job 'other'"):
            await locations.validate_run_config("code", "main", "other")
        with pytest.raises(NotFoundError, match="the workspace has: code"):
            await locations.execution_plan("elsewhere", "main", "etl")


async def test_a_slow_answer_is_a_time_out_and_a_crash_is_the_servers_fault(server):
    async def never(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def crash(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
        raise ZeroDivisionError

    locations = Locations([server.address])
    async with running(locations.run()):
        await until(locations.changes(), is_(Status.LOADED))
        server.evaluate = never
        with pytest.raises(LocationTimeoutError, match="nightly"):
            await locations.evaluate_schedule(
                "code", "main", "nightly", scheduled_time=TICK, deadline=timedelta(milliseconds=50)
            )
        server.evaluate = crash
        with pytest.raises(CodeServerError):
            await locations.evaluate_schedule("code", "main", "nightly", scheduled_time=TICK)
        assert locations.get("code").status is Status.LOADED


async def test_following_ends_with_its_connections_when_cancelled(server):
    locations = Locations([server.address])
    async with running(locations.run()):
        await until(locations.changes(), is_(Status.LOADED))
        assert server.watchers == 1
    async with asyncio.timeout(10):
        await server.unwatched.wait()
