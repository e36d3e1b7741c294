"""How requests wait for their answers."""

import asyncio

import pytest
from dagwire_shared.errors import PermissionDeniedError
from dagwire_shared.jetstream.pending import Pending


async def test_an_answer_reaches_the_request_of_its_token():
    pending: Pending[str] = Pending()
    first, second = pending.add("1", ["a"]), pending.add("2", ["a"])

    pending.answer("2", "two")

    assert not first.done()
    assert await second == "two"


async def test_an_answer_that_nobody_waits_for_is_dropped():
    pending: Pending[str] = Pending()
    future = pending.add("1", ["a"])
    pending.answer("1", "first")
    pending.answer("1", "second")
    pending.answer("9", "unknown")
    pending.remove("1")
    pending.answer("1", "late")

    assert future.result() == "first"


async def test_a_lost_connection_fails_every_request():
    pending: Pending[str] = Pending()
    futures = [pending.add(str(number), ["a"]) for number in range(3)]

    pending.fail(ConnectionError("gone"))

    assert all(isinstance(future.exception(), ConnectionError) for future in futures)


async def test_a_denied_subject_fails_what_concerns_it():
    pending: Pending[str] = Pending()
    other, mine = pending.add("1", ["x.B"]), pending.add("2", ["x.C", "x.A"])

    pending.fail(PermissionDeniedError("no"), subject="x.a")

    assert not other.done()
    with pytest.raises(PermissionDeniedError):
        await mine


async def test_a_request_that_was_given_up_leaves_nothing(recwarn: pytest.WarningsRecorder):
    pending: Pending[str] = Pending()
    future = pending.add("1", ["a"])
    future.cancel()
    pending.fail(ConnectionError("gone"))
    pending.remove("1")
    await asyncio.sleep(0)

    assert not recwarn.list
