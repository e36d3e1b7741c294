"""A run goes on while the bus is away, and all that it said arrives: complete, in order, nothing twice."""

import asyncio

import pytest
from dagwire_launcher.admission import queued
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.ledger import Ledger
from dagwire_shared.bus import Message
from dagwire_shared.ids import run_id_for
from dagwire_shared.jetstream import connect, provision
from dagwire_shared.subjects import Kind, event_subject
from support.buses import fresh
from support.credentials import SECRET, as_user, as_worker, callout, guarded_server
from support.launching import a_request, said, until, until_said
from support.nats import nats_server

WORKER_ONLY = """
authorization {
  users = [
    {user: full, password: full}
    {user: worker, password: worker, permissions: {
      publish: ["dagwire.v1.event.>", "$JS.API.DIRECT.GET.DAGWIRE_EVENTS.>", "$JS.API.DIRECT.GET.DAGWIRE_CONTROL.>"]
      subscribe: ["dagwire.v1.control.*", "_INBOX_worker.>"]
    }}
    {user: mute, password: mute, permissions: {
      publish: ["$JS.API.DIRECT.GET.DAGWIRE_EVENTS.>"], subscribe: ["_INBOX_worker.>"]
    }}
  ]
}
"""


def lines_of(events):
    return [one.data["message"] for one in events if one.type == "dagwire.log.written" and one.data["stream"] == "log"]


async def test_nats_is_killed_in_the_middle_of_a_run(server, bus, worker, tmp_path):
    run_id = run_id_for("outage")
    process = worker("outage", "talking", tags={"file": str(tmp_path / "stop")})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "line 20")
    for number in range(3):
        await server.kill()
        await server.start()
        events = await said(bus, run_id)
        mark = f"line {len(lines_of(events)) + 10 * number + 20}"
        await until_said(bus, run_id, lambda event, mark=mark: event.data.get("message") == mark)
    (tmp_path / "stop").touch()
    assert await process.ended() == 0, process.text()
    events = await said(bus, run_id)
    *lines, last = lines_of(events)
    assert lines == [f"line {number}" for number in range(len(lines))]
    assert last == f"lines: {len(lines)}"
    assert [one.id for one in events] == [f"{run_id}:1:{number}" for number in range(len(events))]


async def test_a_run_that_ends_while_nats_is_away_is_told_when_it_is_back(server, bus, worker, tmp_path):
    run_id = run_id_for("late")
    process = worker("late", "talking", tags={"file": str(tmp_path / "stop")})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "line 5")
    await server.kill()
    (tmp_path / "stop").touch()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await process.ended()
    assert process.process.poll() is None
    await server.start()
    assert await process.ended() == 0, process.text()
    events = await said(bus, run_id)
    assert events[-1].type == "dagwire.run.succeeded"
    assert [one.id for one in events] == [f"{run_id}:1:{number}" for number in range(len(events))]


async def test_a_worker_that_starts_while_nats_is_away_runs_when_it_is_there(server, bus, worker):
    await server.kill()
    process = worker("patient")
    await until(lambda: _has_logged(process, "bus is not reached yet"), what="the worker misses the bus")
    await server.start()
    assert await process.ended() == 0, process.text()
    assert (await said(bus, run_id_for("patient")))[-1].type == "dagwire.run.succeeded"


async def _has_logged(process, words):
    return words in process.text()


async def test_a_full_spool_holds_the_run_and_loses_nothing(server, bus, worker, tmp_path):
    run_id = run_id_for("full")
    code = """
import os, time
from dagwire import job, op

@op
def flood(context):
    context.log.info("begin")
    while not os.path.exists(context.get_tag("file")):
        time.sleep(0.01)
    for number in range(400):
        context.log.info("x" * 30_000 + f" {number}")
    open(context.get_tag("done"), "w").close()

@job
def flooding():
    flood()
"""
    tags = {"file": str(tmp_path / "go"), "done": str(tmp_path / "done")}
    process = worker("full", "flooding", code=code, tags=tags, settings={"spool_limit_bytes": 200_000})
    await until_said(bus, run_id, lambda event: event.data.get("message") == "begin")
    await server.kill()
    (tmp_path / "go").touch()
    await until(lambda: _size(tmp_path / "a/spool", 170_000), what="the spool fills")
    assert not (tmp_path / "done").exists()
    await server.start()
    assert await process.ended() == 0, process.text()
    events = await said(bus, run_id)
    assert [one.id for one in events] == [f"{run_id}:1:{number}" for number in range(len(events))]
    numbers = [line.rpartition(" ")[2] for line in lines_of(events) if line.startswith("x")]
    assert numbers == [str(number) for number in range(400)]
    held = [one for one in events if one.type == "dagwire.engine.noted" and "held" in one.data["message"]]
    assert held  # again, should the spool fill anew while it drains
    assert not list((tmp_path / "a/spool").glob("*"))


async def _size(directory, least):
    return directory.exists() and sum(file.stat().st_size for file in directory.iterdir()) >= least


async def test_a_worker_needs_no_more_than_its_credential_allows(tmp_path, worker):
    async with (
        nats_server(tmp_path / "nats", config=WORKER_ONLY) as server,
        connect(server.url_for("full", "full"), name="test") as bus,
    ):
        await provision(bus)
        process = worker("small", nats_url=server.url_for("worker", "worker"))
        assert await process.ended() == 0, process.text()
        assert (await said(bus, run_id_for("small")))[-1].type == "dagwire.run.succeeded"
        assert "denied" not in process.text()
        assert "not heard" not in process.text()


async def test_a_worker_that_may_not_speak_ends_at_once_and_says_why(tmp_path, worker):
    async with nats_server(tmp_path / "nats", config=WORKER_ONLY) as server:
        async with connect(server.url_for("full", "full"), name="test") as bus:
            await provision(bus)
        process = worker("mute", nats_url=server.url_for("mute", "mute"))
        assert await process.ended() == 77
        assert "does not allow to publish" in process.text()


async def test_a_credential_that_stays_refused_ends_the_worker_with_the_reason(tmp_path, worker):
    async with nats_server(tmp_path / "nats", config=WORKER_ONLY) as server:
        process = worker("wrong", nats_url=server.url_for("worker", "hush"), settings={"refused_seconds": 1})
        assert await process.ended() == 77, process.text()
        assert process.text().count("tried again") > 1
        assert "has done so for 1 s" in process.text()
        assert "hush" not in process.text()


async def test_a_worker_that_nobody_vouches_for_yet_waits_and_runs(tmp_path, worker):
    async with guarded_server(tmp_path / "nats") as server, as_user(server, "launcher") as bus:
        await provision(bus)
        run_id = run_id_for("early")
        await Ledger(bus.streams).say(run_id, queued(a_request("early")), after=0)
        credential = WorkerCredentials(SECRET, server.url).environment(run_id)
        process = worker(
            "early",
            nats_url=credential["DAGWIRE_WORKER_NATS_URL"],
            settings={"inbox_prefix": credential["DAGWIRE_WORKER_INBOX_PREFIX"]},
        )
        await until(lambda: _says(process, "tried again"), what="the worker is refused")
        async with callout(bus).serving(bus):
            assert await process.ended() == 0, process.text()
        assert (await said(bus, run_id))[-1].type == "dagwire.run.succeeded"
        assert "denied" not in process.text()
        assert "not heard" not in process.text()


async def test_a_run_goes_on_while_its_credential_expires_again_and_again(tmp_path, worker):
    async with guarded_server(tmp_path / "nats") as server, as_user(server, "launcher") as bus:
        await provision(bus)
        run_id, file = run_id_for("long"), tmp_path / "go"
        await Ledger(bus.streams).say(run_id, queued(a_request("long")), after=0)
        credential = WorkerCredentials(SECRET, server.url).environment(run_id)
        async with callout(bus, credential=1, farewell=60).serving(bus):
            process = worker(
                "long",
                "talking",
                nats_url=credential["DAGWIRE_WORKER_NATS_URL"],
                settings={"inbox_prefix": credential["DAGWIRE_WORKER_INBOX_PREFIX"]},
                tags={"file": str(file)},
            )
            await until(lambda: _says(process, "connected again", times=3), what="its credential expires three times")
            file.touch()
            assert await process.ended() == 0, process.text()
        events = await said(bus, run_id)
        assert [one.id for one in events[1:]] == [f"{run_id}:1:{number}" for number in range(len(events) - 1)]
        assert events[-1].type == "dagwire.run.succeeded"


async def test_another_run_cannot_have_a_runs_events_taken_for_known(tmp_path, worker):
    """The server takes a message for known by its id, whoever sent it: a run must not be able to use up another's."""
    victim, attacker = run_id_for("victim"), run_id_for("attacker")
    async with guarded_server(tmp_path / "nats") as server, as_user(server, "launcher") as bus:
        await provision(bus)
        ledger = Ledger(bus.streams)
        await ledger.say(attacker, queued(a_request("attacker")), after=0)
        async with callout(bus, farewell=60).serving(bus):
            async with as_worker(server, attacker) as malicious:
                guessed = [f"{victim}:1:{number}" for number in range(50)] + [f"{victim}:queued"]
                subject = event_subject(attacker, Kind.LOG)
                await malicious.streams.publish_all([Message(subject, b"mine", one) for one in guessed])
            await ledger.say(victim, queued(a_request("victim")), after=0)
            credential = WorkerCredentials(SECRET, server.url).environment(victim)
            process = worker(
                "victim",
                nats_url=credential["DAGWIRE_WORKER_NATS_URL"],
                settings={"inbox_prefix": credential["DAGWIRE_WORKER_INBOX_PREFIX"]},
            )
            assert await process.ended() == 0, process.text()
        events = await said(bus, victim)
        assert [one.type for one in events][:2] == ["dagwire.run.queued", "dagwire.run.started"]
        assert [one.id for one in events[1:]] == [f"{victim}:1:{number}" for number in range(len(events) - 1)]
        assert events[-1].type == "dagwire.run.succeeded"


async def _says(process, words, *, times=1):
    return process.text().count(words) >= times


@pytest.fixture(autouse=True)
async def _running(server):
    """The server of the module runs when a test begins."""
    yield
    if server._process is None:
        await server.start()
        await fresh(server)
