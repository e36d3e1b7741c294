"""How the last message on a subject is read when replicas lag behind."""

from collections.abc import Sequence

import pytest
from dagwire_shared.jetstream import reader
from dagwire_shared.jetstream.connection import DisconnectedError
from dagwire_shared.jetstream.reader import Reader
from nats.aio.msg import Msg

MISSING = {"Status": "404", "Description": "Message Not Found"}


def found(sequence: int) -> dict[str, str]:
    return {
        "Nats-Stream": "S",
        "Nats-Subject": "a",
        "Nats-Sequence": str(sequence),
        "Nats-Time-Stamp": "2026-01-01T00:00:00.123456789Z",
    }


class Replicas:
    """A connection on which one answer after the other is given; the last for ever."""

    def __init__(self, answers: Sequence[dict[str, str] | Exception]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def until_connected(self) -> None:
        pass

    async def request(self, subject: str, *, wait: float) -> Msg:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return Msg(_client=None, subject="", headers=answer)


async def test_what_a_replica_says_is_taken_when_nothing_newer_is_known():
    connection = Replicas([MISSING])

    assert await Reader(connection).last("S", "a") is None
    assert connection.asked == 1


async def test_a_replica_that_lags_behind_is_asked_again():
    connection = Replicas([MISSING, found(3), DisconnectedError(), found(7)])
    reading = Reader(connection)
    reading.note("S", "a", 5)

    last = await reading.last("S", "a")

    assert last is not None
    assert last.sequence == 7


async def test_another_subject_is_not_waited_for():
    connection = Replicas([MISSING])
    reading = Reader(connection)
    reading.note("S", "a", 5)

    assert await reading.last("S", "b") is None
    assert connection.asked == 1


async def test_a_message_that_was_removed_is_not_waited_for_long_and_only_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reader, "PATIENCE_SECONDS", 0.05)
    connection = Replicas([MISSING])
    reading = Reader(connection)
    reading.note("S", "a", 5)

    assert await reading.last("S", "a") is None
    asked = connection.asked
    assert await reading.last("S", "a") is None

    assert asked > 1
    assert connection.asked == asked + 1


async def test_the_newest_that_is_known_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reader, "_KNOWN_LIMIT", 2)
    connection = Replicas([found(6), found(9)])
    reading = Reader(connection)
    reading.note("S", "a", 8)
    reading.note("S", "a", 3)
    reading.note("S", "b", 1)

    last = await reading.last("S", "a")

    assert last is not None
    assert last.sequence == 9
