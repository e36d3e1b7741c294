import asyncio
from datetime import UTC, datetime

import pytest
from dagwire.code import load_error
from dagwire.codeserver.definitions import Definitions
from support.definitions import code

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


class FakeLoader:
    """Loads what the test says next."""

    def __init__(self) -> None:
        self.following: object = code()

    def load(self):
        if isinstance(self.following, Exception):
            raise self.following
        return self.following


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


@pytest.fixture
def definitions(loader) -> Definitions:
    return Definitions(loader, now=lambda: AT)


async def test_a_load_gives_a_state_with_hash_and_time(definitions):
    loaded = await definitions.reload()

    assert len(loaded.state.definitions_hash) == 64
    assert not loaded.state.HasField("load_error")
    assert loaded.state.loaded_at.ToDatetime(tzinfo=UTC) == AT
    assert definitions.current is loaded


async def test_a_failed_load_is_a_state_with_its_error(definitions, loader):
    loader.following = load_error("file repo.py could not be imported", ValueError("no"))

    loaded = await definitions.reload()

    assert loaded.code is None
    assert loaded.state.definitions_hash == ""
    assert loaded.state.load_error.message == "file repo.py could not be imported"
    assert loaded.state.load_error.cause.type == "ValueError"


async def test_a_failed_load_is_logged_with_its_trace(definitions, loader, caplog):
    fault = load_error("file repo.py could not be imported", ValueError("no"))
    fault.__cause__ = ValueError("no")
    loader.following = fault
    await definitions.reload()

    (record,) = caplog.records
    assert (record.levelname, record.error) == ("ERROR", "file repo.py could not be imported")
    assert record.exc_info[0] is ValueError


async def test_definitions_that_cannot_be_described_are_a_load_error(definitions, loader, monkeypatch):
    monkeypatch.setattr("dagwire.codeserver.snapshot.describe", lambda _: 1 / 0)

    loaded = await definitions.reload()

    assert loaded.state.load_error.message == "the definitions cannot be described: ZeroDivisionError: division by zero"


async def test_a_follower_hears_the_state_at_once_and_at_each_load(definitions, loader):
    await definitions.reload()
    states = definitions.follow()
    first = await anext(states)
    waiting = asyncio.ensure_future(anext(states))
    await asyncio.sleep(0)
    loader.following = load_error("broken")
    await definitions.reload()

    assert not first.HasField("load_error")
    assert (await waiting).load_error.message == "broken"


async def test_a_slow_follower_gets_the_last_state_only(definitions, loader):
    await definitions.reload()
    states = definitions.follow()
    await anext(states)
    for message in ("one", "two", "three"):
        loader.following = load_error(message)
        await definitions.reload()

    assert (await anext(states)).load_error.message == "three"


async def test_closing_ends_every_follower(definitions):
    await definitions.reload()
    states = definitions.follow()
    await anext(states)
    waiting = asyncio.ensure_future(anext(states))
    await asyncio.sleep(0)
    definitions.close()

    with pytest.raises(StopAsyncIteration):
        await waiting


def test_asking_before_the_first_load_is_a_mistake(definitions):
    with pytest.raises(RuntimeError, match="before it was loaded"):
        _ = definitions.current
