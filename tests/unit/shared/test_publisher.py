"""How a series of messages is cut into what is sent together."""

import pytest
from dagwire_shared.bus import Message
from dagwire_shared.jetstream import publisher
from dagwire_shared.jetstream.publisher import split_by_size, split_by_stream, split_by_subject
from dagwire_shared.streams import EVENTS, REQUESTS


def messages(*subjects: str, size: int = 0) -> list[Message]:
    return [Message(subject, bytes(size), str(number)) for number, subject in enumerate(subjects)]


def test_a_series_is_cut_where_the_stream_changes():
    series = messages("dagwire.v1.event.a.b.c", "dagwire.v1.event.d.e.f", "dagwire.v1.request.x", "other", "other")

    assert [(stream, len(part)) for stream, part in split_by_stream(series)] == [(EVENTS, 2), (REQUESTS, 1), (None, 2)]


def test_a_series_is_cut_where_a_subject_comes_again():
    parts = [[one.subject for one in part] for part in split_by_subject(messages(*"abacabd"))]

    assert parts == [["a", "b"], ["a", "c"], ["a", "b", "d"]]


def test_no_more_than_so_many_are_under_way_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publisher, "IN_FLIGHT", 3)

    assert [len(part) for part in split_by_subject(messages(*"abcdefg"))] == [3, 3, 1]


def test_a_batch_holds_so_many_messages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publisher, "BATCH_MESSAGES", 3)

    assert [len(part) for part in split_by_size(messages(*"aaaaaaa"))] == [3, 3, 1]


def test_a_batch_holds_so_many_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publisher, "BATCH_BYTES", 25)

    assert [len(part) for part in split_by_size(messages(*"aaaaa", size=10))] == [2, 2, 1]


def test_a_message_beyond_the_size_goes_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publisher, "BATCH_BYTES", 5)

    assert [len(part) for part in split_by_size(messages(*"aa", size=10))] == [1, 1]


@pytest.mark.parametrize("split", [split_by_stream, split_by_subject, split_by_size])
def test_nothing_gives_no_parts(split):
    assert list(split([])) == []
