"""The users of the NATS server on a real one: each can do what its service does, and nothing that is another's."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from dagwire_eventstore.service import GROUP
from dagwire_launcher.intake import CONSUMER
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.natsauth import nats_auth
from dagwire_launcher.users import SERVICES
from dagwire_scheduler.skew import KEY as CLOCK
from dagwire_scheduler.switches import PROGRESS_KEY
from dagwire_shared import streams
from dagwire_shared.bus import Message
from dagwire_shared.errors import PermissionDeniedError
from dagwire_shared.ids import run_id_for, schedule_id_for
from dagwire_shared.jetstream import connect, provision
from dagwire_shared.leases import LeaseKeeper
from dagwire_shared.records import cursor_key, location_key, switch_key
from dagwire_shared.subjects import Kind, event_subject, request_subject
from support.buses import SOON, read_to_end
from support.credentials import PASSWORDS, SECRET, as_user, guarded_server
from support.nats import NatsServer, nats_server

RUN = run_id_for("run")
SCHEDULE = schedule_id_for("here", "repository", "schedule")
EVERYBODY = [*SERVICES, "client"]
WORKERS = [event_subject(RUN, kind) for kind in (Kind.RUN, Kind.STEP, Kind.DATA, Kind.LOG, Kind.ENGINE, Kind.ORDER)]
LAUNCHERS = [event_subject(RUN, Kind.LAUNCH), event_subject(RUN, Kind.WORKER)]
TICK = event_subject(RUN, Kind.TICK)
REQUEST, CONTROL, QUEUE = "dagwire.v1.request.x", f"dagwire.v1.control.{RUN}", f"dagwire.v1.queue.{RUN}"
DEAD, STORED, KNOWN = "dagwire.v1.dead.DAGWIRE_EVENTS", "dagwire.v1.signal.stored", "dagwire.v1.ask.known"
STEP = f"dagwire.v1.step.{RUN}.a"
STREAMS = ("DAGWIRE_REQUESTS", "DAGWIRE_QUEUE", "DAGWIRE_EVENTS", "DAGWIRE_CONTROL", "DAGWIRE_DEAD", "KV_dagwire_state")

FORBIDDEN = {
    "dagit": [
        *WORKERS, *LAUNCHERS, TICK, QUEUE, DEAD, STORED, KNOWN, "$KV.dagwire_state.location.a",
        "$KV.dagwire_state.lease.launcher", "$KV.dagwire_state.cursor.a",
        *(f"$JS.API.STREAM.UPDATE.{name}" for name in STREAMS),
        "$JS.API.CONSUMER.CREATE.DAGWIRE_REQUESTS.x", "$JS.API.CONSUMER.CREATE.KV_dagwire_state.x",
        "$JS.API.CONSUMER.CREATE.KV_dagwire_state.x.$KV.dagwire_state.>",
    ],
    "scheduler": [
        *WORKERS, *LAUNCHERS, QUEUE, DEAD, CONTROL, STORED, KNOWN, "$KV.dagwire_state.switch.a",
        "$KV.dagwire_state.lease.launcher", *(f"$JS.API.STREAM.UPDATE.{name}" for name in STREAMS),
        "$JS.API.CONSUMER.CREATE.DAGWIRE_EVENTS.x", "$JS.API.CONSUMER.CREATE.DAGWIRE_REQUESTS.x",
    ],
    "launcher": [
        *WORKERS, TICK, REQUEST, CONTROL, STORED, "$KV.dagwire_state.switch.a", "$KV.dagwire_state.lease.scheduler",
        "$KV.dagwire_state.location.a", "$JS.API.STREAM.MSG.DELETE.DAGWIRE_EVENTS",
        "$JS.API.STREAM.MSG.DELETE.DAGWIRE_REQUESTS",
    ],
    "eventstore": [
        *WORKERS, *LAUNCHERS, TICK, REQUEST, CONTROL, QUEUE, KNOWN, "$KV.dagwire_state.switch.a",
        "$JS.API.CONSUMER.CREATE.DAGWIRE_REQUESTS.x", "$JS.API.CONSUMER.CREATE.KV_dagwire_state.x",
    ],
    "client": [
        *WORKERS, *LAUNCHERS, TICK, QUEUE, DEAD, STORED, KNOWN, "$KV.dagwire_state.switch.a",
        *(f"$JS.API.STREAM.{verb}.{name}" for verb in ("CREATE", "UPDATE") for name in STREAMS),
        *(f"$JS.API.CONSUMER.CREATE.{name}.x" for name in STREAMS if name != "DAGWIRE_EVENTS"),
        *(f"$JS.API.CONSUMER.CREATE.{name}" for name in STREAMS if name != "DAGWIRE_EVENTS"),
        "$JS.API.DIRECT.GET.DAGWIRE_QUEUE.x",
    ],
}  # fmt: skip
NOBODY_MAY = [
    STEP, "$SYS.REQ.USER.AUTH", "$SYS.REQ.SERVER.PING", "_INBOX_dagit.x", "_INBOX.x", f"_INBOX_{RUN}.x",
    *(f"$JS.API.STREAM.{verb}.{name}" for verb in ("DELETE", "PURGE", "SNAPSHOT", "RESTORE") for name in STREAMS),
    "$JS.API.STREAM.CREATE.mine", "$JS.API.STREAM.MSG.GET.DAGWIRE_QUEUE", "$JS.API.ACCOUNT.PURGE.x",
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    async with guarded_server(tmp_path_factory.mktemp("nats")) as running:
        async with as_user(running, "launcher") as bus:
            await provision(bus)
        yield running


@pytest.mark.parametrize("name", EVERYBODY)
async def test_what_is_anothers_is_denied(server, name):
    async with as_user(server, name) as bus:
        for subject in [*FORBIDDEN[name], *NOBODY_MAY]:
            with pytest.raises(PermissionDeniedError, match="publish"):
                await bus.connection.request(subject, b"{}", wait=2)


@pytest.mark.parametrize("name", EVERYBODY)
async def test_nobody_hears_what_others_are_told(server, name):
    forbidden = [">", "$SYS.>", "dagwire.v1.request.*", "dagwire.v1.queue.*", "dagwire.v1.step.>", f"_INBOX_{RUN}.>"]
    others = [f"_INBOX_{other}.>" for other in SERVICES if other != name]
    inboxes = [] if name == "client" else ["_INBOX.>"]
    async with as_user(server, name) as bus:
        for subject in [*forbidden, *others, *inboxes]:
            with pytest.raises(PermissionDeniedError, match="subscribe"):
                await anext(bus.signals.listen(subject))


@pytest.mark.parametrize("name", SERVICES)
async def test_any_service_makes_the_streams_whoever_comes_first(tmp_path, name):
    async with guarded_server(tmp_path) as server, as_user(server, name) as bus:
        await provision(bus)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_stream_that_drifted_is_left_to_who_may_change_it(tmp_path, name):
    async with guarded_server(tmp_path) as server:
        async with as_user(server, "launcher") as bus:
            await provision(bus)
            found = (await bus.streams.ask("STREAM.INFO.DAGWIRE_DEAD", None)).content["config"]
            answer = await bus.streams.ask("STREAM.UPDATE.DAGWIRE_DEAD", {**found, "description": "drifted"})
            assert answer.error is None
        async with as_user(server, name) as bus:
            await provision(bus)
            now = (await bus.streams.ask("STREAM.INFO.DAGWIRE_DEAD", None)).content["config"]["description"]
        assert (now == "drifted") == (name in {"dagit", "scheduler"})


async def test_the_command_writes_what_the_server_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DAGWIRE_LAUNCHER_CREDENTIAL_SECRET", SECRET)
    for name, password in PASSWORDS.items():
        monkeypatch.setenv(f"DAGWIRE_NATS_{name.upper()}_PASSWORD", password)
    file = tmp_path / "auth.conf"
    assert nats_auth(["nats-auth", "--output", str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert SECRET not in file.read_text()
    async with nats_server(tmp_path / "nats", config="include ../auth.conf") as server:
        for name in EVERYBODY:
            async with as_user(server, name):
                pass
        with pytest.raises(PermissionDeniedError):
            async with connect(server.url_for("dagit", PASSWORDS["client"]), name="x"):
                pass


# --- what seldom happens in the tests of the whole, and must be allowed all the same --------------------------------


async def test_the_launcher_asks_the_event_store_and_is_answered(server):
    async def answer(body: bytes) -> bytes:
        return b"known " + body

    async with (
        as_user(server, "launcher") as launcher,
        as_user(server, "eventstore") as store,
        store.signals.serve(KNOWN, answer, group=GROUP),
    ):
        assert await launcher.signals.ask(KNOWN, RUN.encode(), wait=SOON) == b"known " + RUN.encode()


async def test_the_launcher_takes_requests_gives_them_back_and_clears_its_queue(server):
    async with as_user(server, "client") as client, as_user(server, "launcher") as launcher:
        await client.streams.publish(Message(request_subject("a"), b"request", "a"))
        async with launcher.streams.consume(CONSUMER) as subscription:
            (first,) = await subscription.batch(1, wait=SOON)
            await subscription.retry(first, after=timedelta(0))
            (again,) = await subscription.batch(1, wait=SOON)
            await subscription.acknowledge([again])
        receipt = await launcher.streams.publish(Message(QUEUE, b"order", "q"))
        assert [one.body for one in await read_to_end(launcher, streams.QUEUE)] == [b"order"]
        await launcher.streams.remove(streams.QUEUE, receipt.sequence)
        await Ledger(launcher.streams).bury(again, "cannot be read")


async def test_the_event_store_buries_and_tells_and_dagit_hears(server):
    async with as_user(server, "eventstore") as store, as_user(server, "dagit") as dagit:
        await store.streams.publish(Message(DEAD, b"letter", "d"))
        assert await store.streams.position(streams.EVENTS)
        heard = asyncio.ensure_future(anext(dagit.signals.listen(STORED)))
        while not heard.done():
            await store.signals.notify(STORED, b"{}")
            await asyncio.wait({heard}, timeout=0.05)
        assert await dagit.streams.position(streams.EVENTS)


@pytest.mark.parametrize(
    ("name", "written", "watched"),
    [
        ("dagit", [switch_key(SCHEDULE)], ["switch."]),
        (
            "scheduler",
            [location_key("a"), cursor_key(SCHEDULE), CLOCK, PROGRESS_KEY, "lease.scheduler"],
            ["cursor", "switch"],
        ),
        ("launcher", ["lease.launcher"], ["location"]),
    ],
)
async def test_a_service_keeps_its_own_state(server, name, written, watched):
    async with as_user(server, name) as bus:
        for key in written:
            revision = await bus.state.put(key, b"{}")
            assert (await bus.state.get(key)).revision == revision
        for prefix in watched:
            async for entry in bus.state.watch(prefix):
                if entry is None:
                    break
        for key in written:
            await bus.state.delete(key)


@pytest.mark.parametrize("name", ["scheduler", "launcher"])
async def test_a_lease_is_kept_and_watched(server, name):
    async with as_user(server, name) as bus, LeaseKeeper(bus.state, name, holder="me") as lease, asyncio.timeout(10):
        acted = asyncio.Event()

        async def act() -> None:
            acted.set()
            await asyncio.Event().wait()

        keeping = asyncio.create_task(lease.run_while_held(act))
        await acted.wait()
        keeping.cancel()


async def test_a_client_reads_what_is_public(server):
    async with as_user(server, "client") as client, as_user(server, "launcher") as launcher:
        await launcher.streams.publish(Message(LAUNCHERS[0], b"{}", "event"))
        await client.streams.publish(Message(CONTROL, b"cancel", "cancel"))
        assert await read_to_end(client, streams.EVENTS)
        assert (await client.streams.last(streams.CONTROL, CONTROL)).body == b"cancel"
        assert await client.state.get("lease.launcher") is None
        for stream in (streams.REQUESTS, streams.DEAD, streams.EVENTS, streams.CONTROL):
            assert await client.streams.position(stream)
