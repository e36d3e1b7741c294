"""How the streams and the state bucket come to be."""

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import Any

import pytest
from dagwire_shared.errors import BusError
from dagwire_shared.jetstream import JetStreamBus, connect, provision
from dagwire_shared.streams import EVENTS, QUEUE, REQUESTS, STATE_BUCKET, STREAMS
from support.buses import an_event, bodies, events, eventually, read_to_end
from support.nats import NatsServer

NAMES = [*(stream.name for stream in STREAMS), f"KV_{STATE_BUCKET}"]


async def config_of(bus: JetStreamBus, name: str) -> dict[str, Any]:
    answer = await bus.streams.ask(f"STREAM.INFO.{name}", None)
    assert answer.error is None
    return dict(answer.content["config"])


async def test_five_processes_that_provision_at_once_agree(server: NatsServer):
    async def provision_one(number: int) -> int:
        async with connect(server.url, name=f"part {number}") as bus:
            await provision(bus)
            return (await bus.streams.position(EVENTS)).epoch

    epochs = await asyncio.gather(*(provision_one(number) for number in range(5)))

    assert len(set(epochs)) == 1
    assert abs(epochs[0] - time.time()) < 60


async def test_every_stream_has_its_settings(bus: JetStreamBus):
    configs = {name: await config_of(bus, name) for name in NAMES}

    requests, events = configs[REQUESTS.name], configs[EVENTS.name]
    assert requests["subjects"] == ["dagwire.v1.request.*"]
    assert (requests["max_msgs_per_subject"], requests["discard"]) == (1, "new")
    assert requests["discard_new_per_subject"]
    assert requests["max_age"] == 14 * 24 * 3600 * 10**9
    assert configs[QUEUE.name]["max_age"] == 0
    assert events["duplicate_window"] == 600 * 10**9
    assert (events["discard"], events["allow_atomic"]) == ("old", True)
    assert int(events["metadata"]["dagwire.epoch"]) > 0
    assert all(config["allow_direct"] for config in configs.values())
    assert all((config["storage"], config["retention"]) == ("file", "limits") for config in configs.values())


async def test_provisioning_again_changes_nothing(bus: JetStreamBus):
    before = {name: await config_of(bus, name) for name in NAMES}
    await bus.streams.publish(an_event("kept"))

    await provision(bus)

    assert {name: await config_of(bus, name) for name in NAMES} == before
    assert bodies(await read_to_end(bus, EVENTS)) == ["kept"]


async def test_a_setting_that_drifted_is_put_right_and_what_others_set_is_kept(bus: JetStreamBus):
    epoch = (await bus.streams.position(EVENTS)).epoch
    found = await config_of(bus, EVENTS.name)
    changed = {**found, "max_age": 3600 * 10**9, "duplicate_window": 60 * 10**9, "max_bytes": 10**9}
    await bus.streams.ask(f"STREAM.UPDATE.{EVENTS.name}", changed)

    await provision(bus)

    put_right = await config_of(bus, EVENTS.name)
    assert put_right["max_age"] == 7 * 24 * 3600 * 10**9
    assert put_right["duplicate_window"] == 600 * 10**9
    assert put_right["max_bytes"] == 10**9
    assert (await bus.streams.position(EVENTS)).epoch == epoch


async def test_a_setting_that_cannot_be_changed_is_said(bus: JetStreamBus):
    await bus.streams.ask(f"STREAM.DELETE.{EVENTS.name}", None)
    wrong = {"name": EVENTS.name, "subjects": [EVENTS.subject], "storage": "memory", "num_replicas": 1}
    await bus.streams.ask(f"STREAM.CREATE.{EVENTS.name}", wrong)

    with pytest.raises(BusError, match=r"DAGWIRE_EVENTS has settings that cannot be changed \(.*storage.*\)"):
        await provision(bus)


async def test_a_rebuilt_stream_has_another_epoch(bus: JetStreamBus):
    before = (await bus.streams.position(EVENTS)).epoch
    await eventually(lambda: time.time() >= before + 1)
    await bus.streams.ask(f"STREAM.DELETE.{EVENTS.name}", None)
    await provision(bus)

    assert (await bus.streams.position(EVENTS)).epoch > before


async def test_a_follower_begins_anew_in_a_rebuilt_stream(bus: JetStreamBus):
    await bus.streams.publish_all(events(20))
    async with asyncio.timeout(10), contextlib.aclosing(bus.streams.follow(EVENTS)) as batches:
        old = await anext(batches)
        following = asyncio.ensure_future(anext(batches))
        await asyncio.wait({following}, timeout=0.05)
        await eventually(lambda: time.time() >= old.epoch + 1)
        await bus.streams.ask(f"STREAM.DELETE.{EVENTS.name}", None)
        await provision(bus)
        await bus.streams.publish_all(events(3, name="new"))
        new = await following

    assert (bodies(old.deliveries), bodies(new.deliveries)) == (list(range(20)), [0, 1, 2])
    assert new.epoch > old.epoch


async def test_a_server_without_jetstream_is_said(server: NatsServer):
    await server.stop()
    plain = NatsServer(server.directory / "plain", port=server.port, jetstream=False)
    await plain.start()
    try:
        async with connect(server.url, name="test") as bus:
            with pytest.raises(BusError, match="JetStream"):
                await provision(bus, deadline=timedelta(seconds=0.5))
    finally:
        await plain.kill()
