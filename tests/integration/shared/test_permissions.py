"""What a limited credential may do, and that it is told at once what it may not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from dagwire_shared.bus import Consumer, Message
from dagwire_shared.errors import ConflictError, PermissionDeniedError
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from dagwire_shared.streams import CONTROL, EVENTS
from support.buses import an_event, bodies, events, read_to_end, subject_of
from support.nats import NatsServer, nats_server

CONTROL_SUBJECT = "dagwire.v1.control.11111111-1111-4111-8111-111111111111"
CONFIG = """
authorization { users: [
  { user: "dagwire", password: "d" }
  { user: "worker", password: "w", permissions: {
      publish: ["dagwire.v1.event.>", "$JS.API.DIRECT.GET.DAGWIRE_EVENTS.>", "$JS.API.DIRECT.GET.DAGWIRE_CONTROL.>"]
      subscribe: ["dagwire.v1.control.*", "_INBOX_worker.>"] } }
] }
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with nats_server(tmp_path, config=CONFIG) as running:
        yield running


@pytest.fixture
async def full(server: NatsServer) -> AsyncIterator[JetStreamBus]:
    async with connect(server.url_for("dagwire", "d"), name="full") as bus:
        await provision(bus)
        yield bus


@pytest.fixture
async def worker(server: NatsServer, full: JetStreamBus) -> AsyncIterator[JetStreamBus]:
    async with connect(server.url_for("worker", "w"), name="worker", inbox_prefix="_INBOX_worker") as bus:
        yield bus


@contextlib.asynccontextmanager
async def denied_at_once(subject: str) -> AsyncIterator[None]:
    with pytest.raises(PermissionDeniedError, match=subject):
        async with asyncio.timeout(1):
            yield


async def test_a_worker_publishes_claims_reads_and_listens(full: JetStreamBus, worker: JetStreamBus):
    await worker.streams.publish(an_event("claim", message_id="c"), expected_last=0)
    with pytest.raises(ConflictError):
        await worker.streams.publish(an_event("other"), expected_last=0)
    await worker.streams.publish_all(events(100))
    found = await worker.streams.last(EVENTS, subject_of())
    heard = asyncio.ensure_future(anext(worker.signals.listen(CONTROL_SUBJECT)))
    while not heard.done():
        await full.streams.publish(Message(CONTROL_SUBJECT, b"cancel", "cancel"))
        await full.signals.notify(CONTROL_SUBJECT, b"cancel")
        await asyncio.wait({heard}, timeout=0.05)

    assert found is not None
    assert bodies([found]) == [99]
    assert heard.result() == (CONTROL_SUBJECT, b"cancel")
    assert await worker.streams.last(CONTROL, CONTROL_SUBJECT) is not None
    assert bodies(await read_to_end(full, EVENTS)) == ["claim", *range(100)]


async def test_a_denied_subject_fails_its_publish_at_once(worker: JetStreamBus):
    async with denied_at_once("dagwire.v1.request.x"):
        await worker.streams.publish(Message("dagwire.v1.request.X", b"", "a"))
    async with denied_at_once("dagwire.v1.request.x"):
        await worker.streams.publish_all([Message("dagwire.v1.request.X", b"", "b")])


async def test_a_denied_message_fails_its_whole_series_at_once(worker: JetStreamBus):
    dead = [Message("dagwire.v1.dead.x", b"", f"d{number}") for number in range(50)]
    async with denied_at_once("dagwire.v1.dead.x"):
        await worker.streams.publish_all([*events(20), *dead])


async def test_a_denial_does_not_disturb_what_is_allowed(full: JetStreamBus, worker: JetStreamBus):
    async def denied(number: int) -> None:
        with pytest.raises(PermissionDeniedError):
            await worker.streams.publish(Message(f"dagwire.v1.request.{number}", b"", "a"))

    await asyncio.gather(worker.streams.publish_all(events(200)), *(denied(number) for number in range(20)))

    assert bodies(await read_to_end(full, EVENTS)) == list(range(200))


async def test_reading_what_is_not_allowed_fails_at_once(worker: JetStreamBus):
    async with denied_at_once("direct.get.kv_dagwire_state"):
        await worker.state.get("switch.a")
    async with denied_at_once("consumer.create"):
        await anext(worker.streams.follow(EVENTS))
    async with denied_at_once("consumer.create"), worker.streams.consume(Consumer(stream=EVENTS, name="x")):
        pass
    async with denied_at_once("stream.info"):
        await worker.streams.position(EVENTS)


async def test_listening_where_it_is_not_allowed_fails_at_once(worker: JetStreamBus):
    async def answer(body: bytes) -> bytes:
        return body

    async with denied_at_once("dagwire.v1.signal.stored"):
        await anext(worker.signals.listen("dagwire.v1.signal.stored"))
    async with (
        denied_at_once("dagwire.v1.ask.known"),
        worker.signals.serve("dagwire.v1.ask.known", answer, group="store"),
    ):
        pass


async def test_an_inbox_outside_the_credential_is_said_at_once(full: JetStreamBus, server: NatsServer):
    async with connect(server.url_for("worker", "w"), name="worker") as bus:
        async with denied_at_once("subscribe to _inbox"):
            await bus.streams.publish(an_event("a"))
        async with denied_at_once("subscribe to _inbox"):
            await bus.signals.ask("dagwire.v1.event.x", b"", wait=timedelta(seconds=5))
