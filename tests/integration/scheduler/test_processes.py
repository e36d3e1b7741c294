"""Scheduler processes that are doubled, killed, frozen, cut off and switched: each tick is one request, none is lost.

They run by the second, which cron expressions with six fields allow.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.bus import Bus
from dagwire_shared.envelope import decode
from dagwire_shared.events import TickRequested, TickSkipped
from dagwire_shared.ids import run_id_for, tick_key
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import event_filter
from support.codeservers import a_repository, a_schedule
from support.nats import NatsServer, free_port
from support.scheduling import NIGHTLY, requests, switch, switchings, ticks, until_cursor

SECONDLY = a_schedule(cron="* * * * * *", catch_up=pb.CATCH_UP_ALL)
SECOND = timedelta(seconds=1)


async def until_time(instant: datetime) -> None:
    """Let time pass: what happens in it, or must not, is the test."""
    await asyncio.sleep((instant - datetime.now(UTC)).total_seconds())


async def until_ticks(bus: Bus, count: int) -> list[TickRequested]:
    """The first requested ticks, as soon as there are so many."""
    found: list[TickRequested] = []
    async with asyncio.timeout(60), aclosing(bus.streams.follow(EVENTS, subjects=[event_filter(NIGHTLY)])) as batches:
        async for batch in batches:
            for delivery in batch.deliveries:
                event = decode(delivery.body).event
                if isinstance(event, TickRequested):
                    found.append(event)
            if len(found) >= count:
                return found
    raise AssertionError


async def assert_each_second_once(bus: Bus) -> None:
    """Every second from the first tick to the last was requested once and recorded once."""
    found = await ticks(bus)
    assert all(isinstance(tick, TickRequested) for tick in found)
    times = [tick.nominal_time for tick in found]
    assert all(late - early == SECOND for early, late in pairwise(times)), times
    keys = [request.key for request in await requests(bus)]
    assert len(keys) == len(set(keys))
    recorded = [tick_key(NIGHTLY, time) for time in times]
    assert keys[: len(recorded)] == recorded
    assert [tick.run_ids for tick in found] == [[run_id_for(key)] for key in recorded]


async def test_two_processes_make_one_request_per_tick(bus, code, start):
    await code.define(a_repository(SECONDLY))
    await start()
    await start()
    await until_ticks(bus, 5)
    await assert_each_second_once(bus)


async def test_a_killed_process_is_replaced_without_a_gap(bus, code, start):
    await code.define(a_repository(SECONDLY))
    first = await start(lease_seconds=2)
    await until_ticks(bus, 2)
    await start(lease_seconds=2)
    await until_ticks(bus, 4)
    await first.signal(signal.SIGKILL)
    await until_ticks(bus, 7)
    await assert_each_second_once(bus)


async def test_a_process_that_froze_and_still_believes_to_act_doubles_nothing(bus, code, start):
    await code.define(a_repository(SECONDLY))
    first = await start(lease_seconds=2)
    await until_ticks(bus, 2)
    await start(lease_seconds=2)
    first.freeze()
    found = await until_ticks(bus, 5)
    first.thaw()
    await until_ticks(bus, len(found) + 5)
    await assert_each_second_once(bus)


@asynccontextmanager
async def cutting_proxy(server: NatsServer, cut: Callable[[bytes], bool]) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to the server that swallows what a client says from the first chunk on that ``cut`` recognises."""
    reached, tasks = asyncio.Event(), set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, cutting: bool) -> None:
        while chunk := await reader.read(65536):
            if cutting and cut(chunk):
                reached.set()
                await asyncio.Event().wait()
            writer.write(chunk)
            await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        tasks.add(asyncio.ensure_future(pump(reader, back, cutting=True)))
        tasks.add(asyncio.ensure_future(pump(there, writer, cutting=False)))

    port = free_port()
    listener = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield f"nats://127.0.0.1:{port}", reached
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def before_the_event(chunk: bytes) -> bool:
    return b".tick " in chunk and b"PUB dagwire.v1.event." in chunk


def before_the_cursor() -> Callable[[bytes], bool]:
    """Recognises the write that settles a tick: the one after the write that begins it."""
    begun = False

    def cut(chunk: bytes) -> bool:
        nonlocal begun
        if b"PUB $KV.dagwire_state.cursor." not in chunk:
            return False
        if b'"begun":"' in chunk:
            begun = True
            return False
        return begun

    return cut


@pytest.mark.parametrize("cut", [lambda: before_the_event, before_the_cursor], ids=["event", "cursor"])
async def test_a_process_killed_between_its_request_and_its_cursor_requests_once(server, bus, code, start, cut):
    """Killed at a known write, and replaced after the tick would count as missed."""
    await code.define(a_repository(a_schedule(cron="*/3 * * * * *", catch_up=pb.CATCH_UP_SKIP)))
    async with cutting_proxy(server, cut()) as (url, reached):
        process = await start(nats_url=url, lease_seconds=1)
        await asyncio.wait_for(reached.wait(), 30)
        await process.signal(signal.SIGKILL)
    cursor = await until_cursor(bus, lambda cursor: cursor.begun is not None)
    assert [request.key for request in await requests(bus)] == [tick_key(NIGHTLY, cursor.begun)]
    await until_time(cursor.begun + 2 * SECOND)  # the down-time itself
    await start(missed_after_seconds=1, lease_seconds=1)
    await until_cursor(bus, lambda later: later.evaluated_through >= cursor.begun)
    assert [request.key for request in await requests(bus)].count(tick_key(NIGHTLY, cursor.begun)) == 1
    of_it = [tick for tick in await ticks(bus) if tick.nominal_time == cursor.begun]
    assert [type(tick) for tick in of_it] == [TickRequested]


@pytest.mark.parametrize("policy", [pb.CATCH_UP_SKIP, pb.CATCH_UP_LATEST, pb.CATCH_UP_ALL])
async def test_a_process_restarted_after_a_down_time_honours_the_policy(bus, code, start, policy):
    await code.define(a_repository(a_schedule(cron="* * * * * *", catch_up=policy)))
    process = await start(missed_after_seconds=1, lease_seconds=1)
    before = (await until_ticks(bus, 1))[-1].nominal_time
    await process.signal(signal.SIGKILL)
    await until_time(before + 6 * SECOND)  # the down-time itself
    await start(missed_after_seconds=1, lease_seconds=1)
    await until_cursor(bus, lambda cursor: cursor.evaluated_through >= before + 6 * SECOND)
    missed = [tick for tick in await ticks(bus) if before + SECOND < tick.nominal_time <= before + 4 * SECOND]
    assert [tick.nominal_time for tick in missed] == [before + number * SECOND for number in (2, 3, 4)]
    kinds = {type(tick) for tick in missed}
    assert kinds == ({TickRequested} if policy == pb.CATCH_UP_ALL else {TickSkipped})
    keys = [request.key for request in await requests(bus)]
    assert len(keys) == len(set(keys))


async def test_a_switch_takes_effect_at_once(bus, code, start):
    await code.define(a_repository(SECONDLY))
    await start()
    await until_ticks(bus, 2)
    off = datetime.now(UTC)
    await switch(bus, "stopped", at=off)
    await until_cursor(bus, lambda cursor: not cursor.active)
    assert datetime.now(UTC) - off < SECOND
    kept = len(await requests(bus))
    await until_time(off + 3 * SECOND)  # ticks that must not come
    assert len(await requests(bus)) == kept
    on = datetime.now(UTC)
    await switch(bus, "running", at=on)
    resumed = (await until_ticks(bus, kept + 1))[kept]
    assert on < resumed.nominal_time < on + 2 * SECOND
    assert [one.status for one in await switchings(bus)] == ["stopped", "running"]


async def test_nats_killed_and_started_again_costs_no_tick_and_doubles_none(server, bus, code, start):
    await code.define(a_repository(SECONDLY))
    await start()
    await start()
    await until_ticks(bus, 3)
    await server.kill()
    await server.start()
    found = await until_ticks(bus, 4)
    await until_ticks(bus, len(found) + 3)
    await assert_each_second_once(bus)


async def test_a_code_server_that_is_away_delays_its_ticks_and_loses_none(bus, code, start):
    await code.define(a_repository(SECONDLY))
    await start()
    await until_ticks(bus, 2)
    await code.stop()
    kept = len(await requests(bus))
    await until_time(datetime.now(UTC) + 3 * SECOND)  # the down-time itself
    await code.start()
    await until_ticks(bus, kept + 5)
    await assert_each_second_once(bus)


async def test_it_ends_cleanly_within_seconds_and_gives_its_lease_back(bus, code, start):
    await code.define(a_repository(SECONDLY))
    process = await start()
    await until_ticks(bus, 1)
    assert await bus.state.get("lease.scheduler") is not None
    assert await asyncio.wait_for(process.signal(signal.SIGTERM), 5) == 0
    assert await bus.state.get("lease.scheduler") is None
    assert "Traceback" not in process.log


async def test_wrong_settings_are_told_of_at_once(start):
    process = await start(missed_after_seconds="soon", catch_up_limit=0)
    assert await process.ended() == 2
    assert "DAGWIRE_SCHEDULER_MISSED_AFTER_SECONDS" in process.log
    assert "DAGWIRE_SCHEDULER_CATCH_UP_LIMIT" in process.log
    assert "Traceback" not in process.log


async def test_a_wrong_workspace_file_is_one_clear_sentence(start, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("load_from:\n  - python_file: repo.py\n")
    process = await start(workspace=wrong)
    assert await process.ended() == 1
    assert "wrong.yaml, line 2, column 5: found python_file where only 'grpc_server' is known" in process.log
    assert "Traceback" not in process.log
