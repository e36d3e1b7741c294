"""What every adapter of the Bus port does with the state bucket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from dagwire_shared.bus import Bus, Entry
from dagwire_shared.errors import ConflictError, InvalidIdentifierError


async def next_of(entries: AsyncIterator[Entry | None]) -> Entry | None:
    async with asyncio.timeout(10):
        return await anext(entries)


async def current(bus: Bus, prefix: str) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    async with contextlib.aclosing(bus.state.watch(prefix)) as entries:
        while (entry := await next_of(entries)) is not None:
            found[entry.key] = entry.value
    return found


async def test_a_value_is_read_as_it_was_written(bus: Bus, other: Bus):
    revision = await bus.state.put("switch.a", b"\x00on")

    found = await other.state.get("switch.a")

    assert found is not None
    assert (found.key, found.value, found.revision) == ("switch.a", b"\x00on", revision)
    assert found.time is not None
    assert abs(datetime.now(UTC) - found.time) < timedelta(minutes=1)


async def test_a_key_that_was_never_written_has_no_value(bus: Bus):
    assert await bus.state.get("switch.a") is None


async def test_a_key_is_created_once(bus: Bus, other: Bus):
    await bus.state.put("switch.a", b"mine", revision=0)

    with pytest.raises(ConflictError):
        await other.state.put("switch.a", b"theirs", revision=0)

    found = await bus.state.get("switch.a")
    assert found is not None
    assert found.value == b"mine"


async def test_a_value_is_written_only_over_the_revision_that_was_read(bus: Bus, other: Bus):
    first = await bus.state.put("switch.a", b"1")
    second = await bus.state.put("switch.a", b"2", revision=first)

    with pytest.raises(ConflictError) as conflict:
        await other.state.put("switch.a", b"3", revision=first)

    assert second > first
    assert conflict.value.last_sequence == second


async def test_equal_values_are_separate_writes(bus: Bus):
    first = await bus.state.put("switch.a", b"on")
    second = await bus.state.put("switch.a", b"on", revision=first)

    assert second > first
    with pytest.raises(ConflictError):
        await bus.state.put("switch.a", b"on", revision=first)


async def test_a_deleted_key_has_no_value_and_can_be_created_again(bus: Bus):
    revision = await bus.state.put("switch.a", b"1")
    await bus.state.delete("switch.a", revision=revision)
    assert await bus.state.get("switch.a") is None

    await bus.state.put("switch.a", b"2", revision=0)

    found = await bus.state.get("switch.a")
    assert found is not None
    assert found.value == b"2"


async def test_a_key_is_not_deleted_over_another_revision(bus: Bus):
    first = await bus.state.put("switch.a", b"1")
    await bus.state.put("switch.a", b"2")

    with pytest.raises(ConflictError):
        await bus.state.delete("switch.a", revision=first)

    assert await bus.state.get("switch.a") is not None


async def test_deleting_a_key_that_is_not_there_is_fine(bus: Bus):
    await bus.state.delete("switch.a")

    assert await bus.state.get("switch.a") is None


@pytest.mark.parametrize("key", ["", "a b", "a.*", ">", ".a", "a.", "a..b", "a\n"])
async def test_a_key_that_the_bucket_cannot_hold_is_refused(bus: Bus, key: str):
    with pytest.raises(InvalidIdentifierError):
        await bus.state.put(key, b"")
    with pytest.raises(InvalidIdentifierError):
        await bus.state.get(key)


async def test_a_watcher_sees_what_is_there_then_each_change(bus: Bus, other: Bus):
    await bus.state.put("switch.a", b"1")
    await bus.state.put("switch.b", b"2")
    await bus.state.put("switch.b", b"3")
    await bus.state.put("switch.gone", b"4")
    await bus.state.delete("switch.gone")
    await bus.state.put("switches.c", b"5")
    async with contextlib.aclosing(bus.state.watch("switch")) as entries:
        there = {}
        while (entry := await next_of(entries)) is not None:
            there[entry.key] = entry.value
        await other.state.put("lease.x", b"6")
        await other.state.put("switch.c", b"7")
        changed = await next_of(entries)
        await other.state.delete("switch.a")
        deleted = await next_of(entries)

    assert there == {"switch.a": b"1", "switch.b": b"3"}
    assert changed is not None
    assert (changed.key, changed.value) == ("switch.c", b"7")
    assert deleted is not None
    assert (deleted.key, deleted.value) == ("switch.a", None)


@pytest.mark.parametrize("prefix", ["switch", "switch."])
async def test_a_prefix_may_end_with_its_dot(bus: Bus, prefix: str):
    await bus.state.put("switch.a.b", b"1")
    await bus.state.put("other.a", b"2")

    assert await current(bus, prefix) == {"switch.a.b": b"1"}


async def test_the_empty_prefix_means_everything(bus: Bus):
    await bus.state.put("switch.a", b"1")
    await bus.state.put("b", b"2")

    assert await current(bus, "") == {"switch.a": b"1", "b": b"2"}


async def test_a_watcher_of_nothing_is_told_so_at_once(bus: Bus):
    assert await current(bus, "switch") == {}


async def test_a_counter_that_many_write_counts_each_write(bus: Bus, other: Bus):
    async def add(connection: Bus) -> None:
        for _ in range(10):
            while True:
                entry = await connection.state.get("count")
                value = int(entry.value or b"0") if entry else 0
                with contextlib.suppress(ConflictError):
                    await connection.state.put(
                        "count", str(value + 1).encode(), revision=entry.revision if entry else 0
                    )
                    break

    await asyncio.gather(add(bus), add(other), add(bus))

    found = await bus.state.get("count")
    assert found is not None
    assert found.value == b"30"
