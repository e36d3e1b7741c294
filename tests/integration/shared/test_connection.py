"""How a connection is made, lost and made again."""

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from dagwire_shared.addresses import nats_address
from dagwire_shared.bus import Message
from dagwire_shared.errors import BusError, BusUnavailableError, PermissionDeniedError
from dagwire_shared.jetstream import JetStreamBus, connect, link, provision
from dagwire_shared.jetstream.topology import provision_in_time
from dagwire_shared.streams import EVENTS
from dagwire_shared.subjects import STORED_SIGNAL
from support.buses import an_event, bodies, eventually, read_to_end, subject_of
from support.nats import NatsServer, free_port, nats_server

USERS = 'authorization { users: [ { user: "dagwire", password: "right" } ] }'


async def test_no_server_is_said_before_the_deadline_and_once(caplog: pytest.LogCaptureFixture):
    port = free_port()
    loop = asyncio.get_running_loop()
    began = loop.time()

    with pytest.raises(BusUnavailableError, match=f"no NATS server answered at nats://127.0.0.1:{port}"):
        async with connect(f"nats://127.0.0.1:{port}", name="test", deadline=timedelta(seconds=0.5)):
            pass

    assert loop.time() - began < 2
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


async def test_a_server_that_comes_within_the_deadline_is_waited_for(tmp_path: Path):
    server = NatsServer(tmp_path, port=free_port())
    opening = asyncio.create_task(_connected(server.url))
    assert not (await asyncio.wait({opening}, timeout=0.2))[0]
    await server.start()
    try:
        assert await opening
    finally:
        await server.kill()


async def _connected(url: str) -> bool:
    async with connect(url, name="test") as bus:
        return bus.connected


@pytest.mark.parametrize("url", ["nats://[broken", "nats://", "ws://a,nats://b"])
async def test_an_address_that_makes_no_sense_is_said(url: str):
    with pytest.raises(BusUnavailableError, match="no address"):
        async with connect(url, name="test", deadline=timedelta(seconds=0.5)):
            pass


async def test_a_wrong_password_fails_fast_and_stays_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with nats_server(tmp_path, config=USERS) as server:
        with pytest.raises(PermissionDeniedError, match="refuses the credential") as refused:
            async with asyncio.timeout(2), connect(server.url_for("dagwire", "hunter2"), name="test"):
                pass

    assert "hunter2" not in str(refused.value) + caplog.text


async def test_credentials_stand_in_the_address(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with (
        nats_server(tmp_path, config=USERS) as server,
        connect(server.url_for("dagwire", "right"), name="test") as bus,
    ):
        await provision(bus)

    assert "right" not in caplog.text


async def test_a_message_waits_for_the_server_to_come_back(server: NatsServer, bus: JetStreamBus):
    await server.kill()
    publishing = asyncio.create_task(bus.streams.publish(an_event("a")))
    assert not (await asyncio.wait({publishing}, timeout=0.3))[0]
    assert not bus.connected
    await server.start()

    receipt = await publishing

    assert (receipt.sequence, receipt.duplicate) == (1, False)
    assert bus.connected


async def test_an_absent_server_is_said_at_the_deadline(server: NatsServer, bus: JetStreamBus):
    await server.kill()
    loop = asyncio.get_running_loop()
    began = loop.time()

    with pytest.raises(BusUnavailableError, match="whether it was accepted is unknown"):
        await bus.streams.publish(an_event("a"), deadline=timedelta(seconds=0.4))
    with pytest.raises(BusUnavailableError, match="a series of 3 messages"):
        await bus.streams.publish_all([an_event("a")] * 3, deadline=timedelta(seconds=0.4))

    assert loop.time() - began < 2


async def test_a_server_without_the_streams_is_said_at_the_deadline(server: NatsServer):
    async with connect(server.url, name="test") as bus:
        with pytest.raises(BusUnavailableError, match="no responders"):
            await bus.streams.publish(an_event("a"), deadline=timedelta(seconds=0.4))


async def test_a_message_that_is_too_large_is_an_error_at_once(bus: JetStreamBus):
    large = Message(subject_of(), bytes(2_000_000), "large")

    with pytest.raises(BusError, match="larger than the server allows"):
        await bus.streams.publish(large)
    with pytest.raises(BusError, match="larger than the server allows"):
        await bus.streams.publish_all([large] * 3)


async def test_a_re_sent_message_is_stored_once_even_past_the_duplicate_window(bus: JetStreamBus):
    info = await bus.streams.ask(f"STREAM.INFO.{EVENTS.name}", None)
    await bus.streams.ask(f"STREAM.UPDATE.{EVENTS.name}", {**info.content["config"], "duplicate_window": 100_000_000})
    claim = an_event("claim", message_id="run:1:0")
    first = await bus.streams.publish(claim, expected_last=0)
    probe = an_event("probe", name="probe", message_id="probe")
    await bus.streams.publish(probe)
    await eventually(lambda: _is_new(bus, probe))  # by then the server has forgotten the claim's id too

    again = await bus.streams.publish(claim, expected_last=0)

    assert (again.sequence, again.duplicate) == (first.sequence, True)
    assert bodies(await read_to_end(bus, EVENTS, subjects=[subject_of()])) == ["claim"]


async def _is_new(bus: JetStreamBus, message: Message) -> bool:
    return not (await bus.streams.publish(message)).duplicate


async def test_a_full_stream_is_no_duplicate(bus: JetStreamBus):
    name = "DAGWIRE_REQUESTS"
    info = await bus.streams.ask(f"STREAM.INFO.{name}", None)
    await bus.streams.ask(f"STREAM.UPDATE.{name}", {**info.content["config"], "max_msgs": 1})
    await bus.streams.publish(Message("dagwire.v1.request.a", b"", "a"))

    with pytest.raises(BusUnavailableError, match="maximum messages exceeded"):
        await bus.streams.publish(Message("dagwire.v1.request.b", b"", "b"), deadline=timedelta(seconds=0.5))


async def test_a_client_that_does_not_come_back_is_replaced(server: NatsServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(link, "GIVE_UP_SECONDS", 0.1)
    replaced = asyncio.Event()
    async with asyncio.timeout(10), connect(server.url, name="test") as bus:
        await provision(bus)
        client = bus.connection.link.client
        await server.kill()
        await eventually(lambda: client._reconnection_task is not None)
        bus.connection.listeners.add(replaced.set)
        client._reconnection_task.cancel()
        await server.start()
        await replaced.wait()
        await bus.streams.publish(an_event("a"))

        assert bus.connection.link.client is not client


async def test_a_follower_leaves_nothing_behind(bus: JetStreamBus):
    await bus.streams.publish(an_event("a"))
    await read_to_end(bus, EVENTS)

    await eventually(lambda: _has_no_consumers(bus))


async def _has_no_consumers(bus: JetStreamBus) -> bool:
    return not await _consumers(bus)


async def _consumers(bus: JetStreamBus) -> list[str]:
    answer = await bus.streams.ask(f"CONSUMER.NAMES.{EVENTS.name}", {})
    return list(answer.content["consumers"] or ())


async def test_a_follower_whose_consumer_is_deleted_goes_on(bus: JetStreamBus):
    await bus.streams.publish(an_event(1))
    async with asyncio.timeout(10):
        batches = bus.streams.follow(EVENTS)
        assert bodies((await anext(batches)).deliveries) == [1]
        following = asyncio.ensure_future(anext(batches))
        await asyncio.wait({following}, timeout=0.1)
        for name in await _consumers(bus):
            await bus.streams.ask(f"CONSUMER.DELETE.{EVENTS.name}.{name}", None)
        await bus.streams.publish(an_event(2))
        assert bodies((await following).deliveries) == [2]
        await batches.aclose()


AWKWARD = "p@ss:w/rd?#,%41 x"


async def test_a_password_with_any_characters_is_taken_as_it_is(tmp_path: Path):
    users = f"authorization {{ users: [ {{ user: dagwire, password: {json.dumps(AWKWARD)} }} ] }}"
    async with nats_server(tmp_path, config=users) as server:
        address = nats_address(server.url, user="dagwire", password=AWKWARD)
        async with connect(address, name="test") as bus:
            assert bus.connected


async def test_a_member_waits_for_a_server_that_is_not_there_yet(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    server = NatsServer(tmp_path, port=free_port())
    try:
        async with connect(server.url, name="test", deadline=None) as bus:
            publishing = asyncio.create_task(bus.streams.publish(an_event("a"), deadline=timedelta(seconds=20)))
            subscribing = asyncio.create_task(anext(bus.signals.listen(STORED_SIGNAL)))
            assert not (await asyncio.wait({publishing, subscribing}, timeout=1))[0]
            assert not bus.connected
            await server.start()
            await provision_in_time(bus, replicas=1)
            assert (await publishing).sequence == 1
            await bus.signals.notify(STORED_SIGNAL, b"x")
            assert (await subscribing)[1] == b"x"
    finally:
        # After the connection was closed, which would else tell of a loss.
        await server.kill()
    assert "bus connection lost" not in caplog.text
    assert sum("bus not there yet" in line for line in caplog.messages) == 1


async def test_a_member_that_never_saw_its_server_ends_at_once():
    async with asyncio.timeout(2), connect(f"nats://127.0.0.1:{free_port()}", name="test", deadline=None):
        await asyncio.sleep(0.1)


async def test_a_member_whose_credential_is_refused_goes_on_asking(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async with (
        nats_server(tmp_path, config=USERS) as server,
        connect(server.url_for("dagwire", "hunter2"), name="test", deadline=None) as bus,
    ):
        await eventually(lambda: bus.connection.link.refused)
        server.config = USERS.replace("right", "hunter2")
        await server.kill()
        await server.start()
        await eventually(lambda: bus.connected)
        assert not bus.connection.link.refused
    assert any("credential refused" in line for line in caplog.messages)
    assert "hunter2" not in caplog.text
