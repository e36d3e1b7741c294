"""The auth callout on a real server: who gets onto the bus as a run's worker, to do what, and for how long."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dagwire.worker.claim import Claim, claim
from dagwire_launcher.admission import queued
from dagwire_launcher.authorization import configuration
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.secret import CredentialSecret
from dagwire_shared.bus import Message
from dagwire_shared.envelope import event_message
from dagwire_shared.errors import PermissionDeniedError
from dagwire_shared.events import (
    Event,
    FailureCause,
    RequestedBy,
    RunDropped,
    RunLaunched,
    RunLost,
    RunStarted,
    RunSucceeded,
)
from dagwire_shared.ids import RunId, run_id_for
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from dagwire_shared.jetstream.topology import provision_in_time
from dagwire_shared.model import utc_now
from dagwire_shared.streams import CONTROL, EVENTS, REQUESTS, STREAMS
from dagwire_shared.subjects import Kind, control_subject, event_subject, request_subject
from support.buses import SOON, an_event, bodies, events, eventually, read_to_end, subject_of
from support.credentials import PASSWORDS, SECRET, as_user, as_worker, callout, guarded_server
from support.launching import a_request
from support.nats import NatsServer, nats_cluster

RUN = run_id_for("run")
OTHER = run_id_for("other")
TOKEN = CredentialSecret(SECRET).worker_token(RUN)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with guarded_server(tmp_path) as running:
        yield running


@pytest.fixture
async def launcher(server: NatsServer) -> AsyncIterator[JetStreamBus]:
    """A launcher's connection, with two runs on the queue."""
    async with as_user(server, "launcher") as bus:
        await provision(bus)
        for key in ("run", "other"):
            await Ledger(bus.streams).say(run_id_for(key), queued(a_request(key)), after=0)
        yield bus


@pytest.fixture
async def vouching(launcher: JetStreamBus) -> AsyncIterator[None]:
    """A launcher answers the server."""
    async with callout(launcher).serving(launcher):
        yield


async def say(bus: JetStreamBus, event: Event, kind: Kind) -> None:
    message = event_message(event, id=f"{event.TYPE}:{kind}", source="/test", subject=RUN, time=utc_now())
    await bus.streams.publish(Message(event_subject(RUN, kind), message.body, message.id))


async def refused(server: NatsServer, user: str, password: str) -> None:
    with pytest.raises(PermissionDeniedError, match="refuses the credential"):
        async with connect(server.url_for(user, password), name="worker", inbox_prefix=f"_INBOX_{user}"):
            pass


# --- what a worker may do ---------------------------------------------------------------------------------------


async def test_a_worker_claims_its_run_says_its_words_and_hears_its_orders(server, launcher, vouching):
    async with as_worker(server, RUN) as worker, as_user(server, "client") as client:
        assert await claim(worker.streams, RUN, worker="me", traceparent=None) is Claim.OURS
        await worker.streams.publish_all(events(100))
        heard = asyncio.ensure_future(anext(worker.signals.listen(control_subject(RUN))))
        cancel = Message(control_subject(RUN), b"cancel", "cancel")
        while not heard.done():
            await client.streams.publish(cancel)
            await asyncio.wait({heard}, timeout=0.05)
        assert heard.result()[0] == control_subject(RUN)
        assert (await worker.streams.last(CONTROL, control_subject(RUN))) is not None
    assert bodies(await read_to_end(launcher, EVENTS, subjects=[subject_of()])) == list(range(100))


async def test_the_processes_of_a_run_talk_to_each_other(server, launcher, vouching):
    async def answer(body: bytes) -> bytes:
        return body + b", taken"

    subject = f"dagwire.v1.step.{RUN}.a"
    async with as_worker(server, RUN) as worker, as_worker(server, RUN) as step:
        async with worker.signals.serve(subject, answer, group="run"):
            assert await step.signals.ask(subject, b"events", wait=SOON) == b"events, taken"
        heard = asyncio.ensure_future(anext(worker.signals.listen(event_subject(RUN, Kind.WORKER))))
        while not heard.done():
            await launcher.signals.notify(event_subject(RUN, Kind.WORKER), b"a step's worker ended")
            await asyncio.wait({heard}, timeout=0.05)


@pytest.mark.parametrize(
    "subject",
    [
        event_subject(OTHER, Kind.RUN),
        event_subject(OTHER, Kind.LOG),
        event_subject(RUN, Kind.LAUNCH),
        event_subject(RUN, Kind.WORKER),
        event_subject(RUN, Kind.TICK),
        "dagwire.v1.request.0123456789abcdef0123456789abcdef",
        f"dagwire.v1.queue.{RUN}",
        control_subject(RUN),
        control_subject(OTHER),
        f"dagwire.v1.step.{OTHER}.a",
        "dagwire.v1.dead.DAGWIRE_EVENTS",
        "dagwire.v1.signal.stored",
        "dagwire.v1.ask.known",
        "$KV.dagwire_state.lease.launcher",
        "$SYS.REQ.USER.AUTH",
        "$SYS.REQ.USER.INFO",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.DAGWIRE_EVENTS",
        "$JS.API.STREAM.DELETE.DAGWIRE_EVENTS",
        "$JS.API.STREAM.PURGE.DAGWIRE_EVENTS",
        "$JS.API.CONSUMER.CREATE.DAGWIRE_EVENTS.x",
        "$JS.API.DIRECT.GET.DAGWIRE_EVENTS",
        f"$JS.API.DIRECT.GET.DAGWIRE_EVENTS.{event_subject(OTHER, Kind.RUN)}",
        f"$JS.API.DIRECT.GET.DAGWIRE_CONTROL.{control_subject(OTHER)}",
        "$JS.API.DIRECT.GET.DAGWIRE_REQUESTS.dagwire.v1.request.x",
        "$JS.API.DIRECT.GET.KV_dagwire_state.$KV.dagwire_state.lease.launcher",
        f"_INBOX_{OTHER}.x",
        "_INBOX_launcher.x",
        "_INBOX.x",
    ],
)
async def test_a_worker_speaks_of_nothing_but_its_run(server, launcher, vouching, subject):
    async with as_worker(server, RUN) as worker, asyncio.timeout(2):
        with pytest.raises(PermissionDeniedError, match="publish"):
            await worker.connection.request(subject, b"{}", wait=2)


async def test_what_is_answered_to_a_worker_cannot_be_put_under_anothers_name(server, launcher, vouching):
    """The server answers wherever a request says, whatever the asker may publish: a worker must not aim that."""
    own = event_subject(RUN, Kind.LOG)
    targets = [
        *(event_subject(run_id, kind) for run_id in (RUN, OTHER) for kind in Kind),
        request_subject("x"), f"dagwire.v1.queue.{OTHER}", control_subject(OTHER), "dagwire.v1.dead.x",
        "$KV.dagwire_state.lease.launcher", "$JS.API.STREAM.PURGE.DAGWIRE_EVENTS",
    ]  # fmt: skip
    before = {stream.name: await launcher.streams.position(stream) for stream in STREAMS}
    async with as_worker(server, RUN) as worker:
        connection = worker.connection
        await connection.publish(own, b"forged")
        for target in targets:
            await connection.publish(own, b"mine", reply=target)
            await connection.publish(f"$JS.API.DIRECT.GET.DAGWIRE_EVENTS.{own}", reply=target)
        await worker.streams.publish(an_event("last", message_id="last"))  # and so all before it were taken
        await connection.settled()
    await launcher.connection.settled()
    found = await read_to_end(launcher, EVENTS, after=before[EVENTS.name].last)
    assert {one.subject for one in found} == {own}
    assert len(found) == len(targets) + 2
    for stream in STREAMS:
        if stream is not EVENTS:
            assert (await launcher.streams.position(stream)) == before[stream.name]
    assert await launcher.state.get("lease.launcher") is None


@pytest.mark.parametrize(
    "subject",
    [
        ">",
        "_INBOX.>",
        "_INBOX_launcher.>",
        f"_INBOX_{OTHER}.>",
        control_subject(OTHER),
        "dagwire.v1.control.*",
        "dagwire.v1.event.>",
        event_subject(OTHER, Kind.WORKER),
        f"dagwire.v1.step.{OTHER}.>",
        "dagwire.v1.request.*",
        "$SYS.REQ.USER.AUTH",
        "$JS.EVENT.ADVISORY.>",
    ],
)
async def test_a_worker_hears_of_nothing_but_its_run(server, launcher, vouching, subject):
    async with as_worker(server, RUN) as worker, asyncio.timeout(2):
        with pytest.raises(PermissionDeniedError, match="subscribe"):
            await anext(worker.signals.listen(subject))


# --- who gets in ------------------------------------------------------------------------------------------------


async def test_only_a_runs_own_token_lets_in(server, launcher, vouching, caplog):
    caplog.set_level(logging.DEBUG)
    other = CredentialSecret(SECRET).worker_token(OTHER)
    anothers = CredentialSecret(SECRET.upper()).worker_token(RUN)
    for user, password in [
        (RUN, other),
        (RUN, anothers),
        (RUN, "x"),
        ("*", TOKEN),
        ("worker", "worker"),
        ("dagit", "x"),
    ]:
        await refused(server, user, password)
    written = server.log.read_text() + caplog.text
    assert "the token is not the run's" in written
    assert not any(token in written for token in (TOKEN, other, anothers))


async def test_a_client_without_name_or_password_is_refused(server, launcher, vouching):
    with pytest.raises(PermissionDeniedError):
        async with connect(server.url, name="nobody"):
            pass


async def test_a_run_that_was_never_queued_is_not_known(server, launcher, vouching):
    stranger = run_id_for("stranger")
    await refused(server, stranger, CredentialSecret(SECRET).worker_token(stranger))
    assert "not known" in server.log.read_text()


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (RunLost(cause=FailureCause.WORKER_LOST, message="gone"), Kind.LAUNCH),
        (RunDropped(requested_by=RequestedBy(kind="bus")), Kind.LAUNCH),
        (RunSucceeded(seconds=1.0), Kind.RUN),
    ],
)
async def test_a_credential_dies_with_its_run(server, launcher, vouching, event, kind):
    async with as_worker(server, RUN) as worker:
        await say(worker if kind is Kind.RUN else launcher, event, kind)
    await refused(server, RUN, TOKEN)
    assert "has ended" in server.log.read_text()


@pytest.mark.parametrize("event", [RunLaunched(backend="process", worker="w")])
async def test_a_run_that_goes_on_keeps_its_credential(server, launcher, vouching, event):
    await say(launcher, event, Kind.LAUNCH)
    async with as_worker(server, RUN) as worker:
        await say(worker, RunStarted(worker="w", host="h", pid=1), Kind.RUN)
    async with as_worker(server, RUN):
        pass


async def test_a_worker_may_come_back_shortly_after_its_last_word(server, launcher):
    async with callout(launcher, farewell=60).serving(launcher):
        async with as_worker(server, RUN) as worker:
            await say(worker, RunSucceeded(seconds=1.0), Kind.RUN)
        async with as_worker(server, RUN) as worker:
            assert await worker.streams.last(EVENTS, event_subject(RUN, Kind.RUN)) is not None


async def test_a_run_that_outlived_the_stream_is_vouched_for_by_who_watches_over_it(server, launcher):
    old = run_id_for("older than the stream keeps events")
    async with callout(launcher, watched=frozenset({old})).serving(launcher), as_worker(server, old):
        pass


async def test_a_token_of_the_secret_before_is_good_while_that_is_named(server, launcher):
    before = "the secret that was in use before"
    async with callout(launcher, SECRET, before).serving(launcher), as_worker(server, RUN, secret=before):
        pass
    async with callout(launcher, SECRET).serving(launcher):
        await refused(server, RUN, CredentialSecret(before).worker_token(RUN))


async def test_a_launcher_with_another_secret_says_that_the_server_must_be_told(server, launcher, caplog):
    mistaken = callout(launcher, "another secret than the server's own")
    async with mistaken.serving(launcher):
        await refused(server, RUN, TOKEN)
    assert mistaken.trouble is not None
    assert "run nats-auth" in " ".join(str(record.__dict__) for record in caplog.records)


# --- for how long, and what happens when something is away ----------------------------------------------------------


async def test_a_long_run_outlives_many_credentials_and_nothing_is_lost(server, launcher):
    async with callout(launcher, credential=1).serving(launcher), as_worker(server, RUN) as worker:
        back = asyncio.Semaphore(0)
        worker.connection.listeners.add(back.release)
        number = 0
        for _ in range(3):
            coming = asyncio.create_task(back.acquire())
            while not coming.done():
                await worker.streams.publish(events(1, start=number)[0])
                number += 1
    assert bodies(await read_to_end(launcher, EVENTS, subjects=[subject_of()])) == list(range(number))


async def test_an_expired_credential_of_an_ended_run_is_the_end_of_its_connection(server, launcher):
    async with callout(launcher, credential=1).serving(launcher), as_worker(server, RUN) as worker:
        await say(launcher, RunLost(cause=FailureCause.WORKER_LOST, message="gone"), Kind.LAUNCH)
        await eventually(lambda: not worker.connected)
        await eventually(lambda: "has ended" in server.log.read_text())
        assert not worker.connected


async def test_while_no_launcher_is_there_workers_go_on_and_come_back_later(server, launcher):
    async with contextlib.AsyncExitStack() as stack:
        async with callout(launcher, credential=1).serving(launcher):
            worker = await stack.enter_async_context(as_worker(server, RUN))
        await worker.streams.publish(an_event("alone", message_id="1"))  # its credential is good for a while
        await eventually(lambda: not worker.connected)
        waiting = asyncio.create_task(worker.streams.publish(an_event("waits", message_id="2")))
        await eventually(lambda: "authentication error" in server.log.read_text())
        assert not waiting.done()
        async with callout(launcher).serving(launcher):
            await waiting
    assert bodies(await read_to_end(launcher, EVENTS, subjects=[subject_of()])) == ["alone", "waits"]


async def test_a_new_secret_takes_the_place_of_the_old_one_while_a_run_goes_on(server, launcher):
    new = "the secret that takes its place now"
    async with contextlib.AsyncExitStack() as stack:
        async with callout(launcher, credential=2).serving(launcher):
            worker = await stack.enter_async_context(as_worker(server, RUN))
            await worker.streams.publish(an_event("before", message_id="1"))
        await server.stop()  # it cannot change who answers for others while it runs
        server.config = configuration(CredentialSecret(new), PASSWORDS)
        await server.start()
        async with callout(launcher, new, SECRET).serving(launcher):
            await worker.streams.publish(an_event("after", message_id="2"))
            async with as_worker(server, OTHER, secret=new):
                pass
    assert bodies(await read_to_end(launcher, EVENTS, subjects=[subject_of()])) == ["before", "after"]


async def test_a_services_new_password_costs_no_message(server, launcher):
    changed = {**PASSWORDS, "dagit": "another password"}
    async with as_user(server, "dagit") as dagit:
        await dagit.streams.publish(Message(request_subject("a"), b"1", "1"))
        await server.reload(configuration(CredentialSecret(SECRET), changed))
        await eventually(lambda: not dagit.connected)
    async with connect(server.url_for("dagit", "another password"), name="dagit", inbox_prefix="_INBOX_dagit") as dagit:
        await dagit.streams.publish(Message(request_subject("b"), b"2", "2"))
    assert [one.body for one in await read_to_end(launcher, REQUESTS)] == [b"1", b"2"]


async def test_of_two_launchers_one_is_enough(server, launcher):
    async with as_user(server, "launcher") as second, callout(second).serving(second):
        async with callout(launcher).serving(launcher):
            for _ in range(10):
                async with as_worker(server, RUN):
                    pass
        for _ in range(10):
            async with as_worker(server, RUN):
                pass


async def test_a_restarted_server_has_its_workers_back(server, launcher, vouching):
    async with as_worker(server, RUN) as worker:
        await worker.streams.publish(an_event("before", message_id="1"))
        await server.kill()
        await server.start()
        await worker.streams.publish(an_event("after", message_id="2"))
    assert bodies(await read_to_end(launcher, EVENTS, subjects=[subject_of()])) == ["before", "after"]


async def test_many_workers_come_at_once(server, launcher, vouching):
    runs = [run_id_for(f"run {number}") for number in range(100)]
    ledger = Ledger(launcher.streams)
    for number, run_id in enumerate(runs):
        await ledger.say(run_id, queued(a_request(f"run {number}")), after=0)

    async def work(run_id: RunId) -> Claim:
        async with as_worker(server, run_id) as worker:
            return await claim(worker.streams, run_id, worker="w", traceparent=None)

    assert set(await asyncio.gather(*map(work, runs))) == {Claim.OURS}


async def test_only_launchers_may_answer_the_server(server, launcher):
    for name in ("dagit", "scheduler", "eventstore", "client"):
        async with as_user(server, name) as bus:
            with pytest.raises(PermissionDeniedError, match="subscribe"):
                await anext(bus.signals.listen("$SYS.REQ.USER.AUTH"))
            with pytest.raises(PermissionDeniedError, match="publish"):
                await bus.connection.request("$SYS.REQ.USER.AUTH", b"", wait=2)
    # A launcher only together with the others, never beside them.
    with pytest.raises(PermissionDeniedError, match="subscribe"):
        await anext(launcher.signals.listen("$SYS.REQ.USER.AUTH"))


async def test_in_a_cluster_a_worker_may_come_by_any_server_and_a_launcher_stand_at_another(tmp_path):
    async with (
        nats_cluster(tmp_path, config=configuration(CredentialSecret(SECRET), PASSWORDS)) as cluster,
        as_user(cluster.servers[0], "launcher") as launcher,
    ):
        await provision_in_time(launcher, replicas=3)
        await Ledger(launcher.streams).say(RUN, queued(a_request("run")), after=0)
        async with callout(launcher).serving(launcher):
            for number, server in enumerate(cluster.servers):
                async with as_worker(server, RUN) as worker:
                    await worker.streams.publish_all(events(300, start=300 * number))
                    heard = asyncio.ensure_future(anext(worker.signals.listen(control_subject(RUN))))
                    while not heard.done():
                        async with as_user(cluster.servers[2], "client") as client:
                            await client.streams.publish(Message(control_subject(RUN), b"cancel", "cancel"))
                        await asyncio.wait({heard}, timeout=0.05)
                    assert await worker.streams.last(CONTROL, control_subject(RUN)) is not None
        assert bodies(await read_to_end(launcher, EVENTS, subjects=[subject_of()])) == list(range(900))
