"""From the bus to PostgreSQL: a real NATS server, a real PostgreSQL, the store as a process."""

import asyncio
import itertools
import json
import random
import string
from datetime import timedelta

import asyncpg
import pytest
from dagwire_shared import events
from dagwire_shared.bus import Message
from dagwire_shared.envelope import decode
from dagwire_shared.ids import run_id_for
from dagwire_shared.jetstream import JetStreamBus
from dagwire_shared.streams import DEAD
from dagwire_shared.subjects import KNOWN_QUESTION, SHARDS, STORED_SIGNAL, Kind, event_subject
from support.buses import SOON
from support.eventstore import (
    NOON,
    StoreProcess,
    connected,
    history,
    log_messages,
    message,
    projections,
    stored_ids,
    streamed,
    streamed_ids,
    until_stored,
)
from support.postgres import Database

RUN = run_id_for("run")


async def test_a_run_is_stored_whole_and_as_received(bus: JetStreamBus, database: Database, store: StoreProcess):
    sent = history()
    await bus.streams.publish_all(sent)
    await until_stored(bus, database.url)
    assert await stored_ids(database.url) == await streamed_ids(bus)
    async with connected(database.reader_url) as connection:
        envelopes = [row[0] for row in await connection.fetch("SELECT envelope::text FROM events ORDER BY epoch, seq")]
        run = await connection.fetchrow("SELECT status, job, tags, executor, cause FROM runs")
        steps = await connection.fetch("SELECT step_key, status FROM steps ORDER BY position")
        asset = await connection.fetchrow("SELECT asset_key, description FROM assets")
    assert [envelope.encode() for envelope in envelopes] == [one.body for one in sent]
    assert tuple(run) == ("SUCCESS", "daily", '{"team": "a"}', "in_process", None)
    assert [tuple(step) for step in steps] == [("load", "SUCCESS"), ("save", "SUCCESS")]
    assert tuple(asset) == (["weather", "daily"], "run")


async def test_who_listens_is_told_after_each_commit(bus: JetStreamBus, database: Database, store: StoreProcess):
    async def publish_until_told() -> None:  # a listener is subscribed some time after it began to listen
        for number in itertools.count():
            await bus.streams.publish_all(log_messages(1, start=number))
            await asyncio.sleep(0.05)

    publishing = asyncio.create_task(publish_until_told())
    _, body = await anext(bus.signals.listen(STORED_SIGNAL))
    publishing.cancel()
    told = json.loads(body)
    assert set(told["shards"]) == set(SHARDS)
    place = (told["epoch"], told["shards"][RUN[0]])
    stored = await stored_ids(database.url)
    assert place <= stored[-1][:2]
    assert [one for one in stored if one[:2] <= place] == [one for one in await streamed_ids(bus) if one[:2] <= place]


async def test_it_answers_whether_a_run_was_ever_recorded(bus: JetStreamBus, database: Database, store: StoreProcess):
    await bus.streams.publish_all(history())
    await until_stored(bus, database.url)
    assert await bus.signals.ask(KNOWN_QUESTION, RUN.encode(), wait=SOON) == b"1"
    assert await bus.signals.ask(KNOWN_QUESTION, run_id_for("never").encode(), wait=SOON) == b"0"


async def test_an_event_that_was_published_twice_is_stored_and_counted_once(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    sent = history()
    await bus.streams.publish_all(sent)
    await until_stored(bus, database.url)
    before = await stored_ids(database.url), await projections(database.url)
    # Past the duplicate window the stream takes them again: the same events under other sequences.
    again = [Message(one.subject, one.body, f"again {number}") for number, one in enumerate(sent)]
    receipts = await bus.streams.publish_all(again)
    assert not any(receipt.duplicate for receipt in receipts)
    await until_stored(bus, database.url)
    assert (await stored_ids(database.url), await projections(database.url)) == before


async def test_an_unknown_type_is_stored_as_received(bus: JetStreamBus, database: Database, store: StoreProcess):
    body = history()[0].body.replace(b"dagwire.run.queued", b"dagwire.run.teleported")
    await bus.streams.publish(Message(event_subject(RUN, Kind.LAUNCH), body, "x"))
    await until_stored(bus, database.url)
    async with connected(database.url) as connection:
        assert await connection.fetchval("SELECT envelope::text FROM events") == body.decode()
        assert await connection.fetchval("SELECT count(*) FROM runs") == 0
    assert not await streamed(bus, DEAD)


def _random_text(length: int) -> str:
    return "".join(random.Random(1).choices(string.ascii_letters, k=length))


async def test_poison_goes_to_the_dead_letters_and_holds_up_nothing(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    good = history()
    too_long_for_an_index = events.AssetMaterialized(step_key="load", asset_key=[_random_text(9000)])
    year_zero = message(events.LogWritten(level="INFO", message="x"), number=900).body.replace(
        b"2026-11-01T12:00:00.900000Z", b"0001-01-01T00:00:00+10:00"
    )
    assert b"0001" in year_zero
    poison = [
        Message(event_subject(RUN, Kind.LOG), b"{", "no json"),
        Message(event_subject(RUN, Kind.LOG), b"[1, 2]", "no object"),
        Message(event_subject(RUN, Kind.LOG), good[0].body, "wrong kind"),
        Message(event_subject(RUN, Kind.LOG), year_zero, "postgres refuses the row"),
        message(too_long_for_an_index, number=901),
        Message(event_subject(RUN, Kind.RUN), good[2].body.replace(b'"pid":1', b'"pid":"x"'), "wrong payload"),
    ]
    await bus.streams.publish_all([*good[:3], *poison, *good[3:]])
    await until_stored(bus, database.url)
    stored = {place[2] for place in await stored_ids(database.url)}
    assert {one.id for one in good} <= stored
    async with connected(database.url) as connection:
        assert await connection.fetchval("SELECT status FROM runs") == "SUCCESS"
        assert await connection.fetchval("SELECT count(*) FROM assets") == 1
    dead = {one.headers["Dagwire-Sequence"]: one for one in await streamed(bus, DEAD)}
    assert [one.body for one in dead.values()].count(b"{") == 1
    causes = [dead[str(sequence)].headers["Dagwire-Cause"] for sequence in range(4, 10)]
    expected = ["not JSON", "not a JSON object", "belongs on subjects", "PostgreSQL refuses", "PostgreSQL refuses"]
    assert all(cause.startswith(start) or start in cause for cause, start in zip(causes[:5], expected, strict=True))
    assert "pid" in causes[5]
    # What has a sound envelope is history all the same.
    assert f"{RUN}:1:901" in stored
    assert f"{RUN}:1:900" not in stored


async def test_text_that_postgresql_does_not_know_becomes_readable_in_projections(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    error = events.ErrorInfo(type="ValueError", message="nul \0 and \\u0000 and \\\0")
    failed = events.RunFailed(cause="run_error", message="a\0b", error=error, seconds=1)
    await bus.streams.publish_all([message(failed)])
    await until_stored(bus, database.url)
    async with connected(database.url) as connection:
        row = await connection.fetchrow("SELECT message, error->>'message', status FROM runs")
        envelope = await connection.fetchval("SELECT envelope::text FROM events")
    assert tuple(row) == ("a\ufffdb", "nul \ufffd and \\u0000 and \\\ufffd", "FAILURE")
    assert decode(envelope.encode()).event == failed
    assert not await streamed(bus, DEAD)


async def test_the_reading_role_reads_everything_and_writes_nothing(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    await bus.streams.publish_all(history())
    await until_stored(bus, database.url)
    async with connected(database.reader_url) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        for table in ("events", "runs", "steps", "ticks", "assets", "progress"):
            await connection.execute(f"TABLE {table}")
            for verb in ("DELETE FROM ", "TRUNCATE ", "DROP TABLE "):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(verb + table)


async def test_assets_of_runs_in_any_shard_end_at_the_newest(
    bus: JetStreamBus, database: Database, store: StoreProcess
):
    made = [
        message(
            events.AssetMaterialized(step_key="s", asset_key=["a"], description=str(number)),
            key=str(number), number=1,
        )
        for number in range(40)
    ]  # fmt: skip
    await bus.streams.publish_all(made)
    await until_stored(bus, database.url)
    async with connected(database.url) as connection:
        row = await connection.fetchrow("SELECT description, run_id::text, materialized_at FROM assets")
    assert tuple(row) == ("39", run_id_for("39"), NOON + timedelta(milliseconds=1))
