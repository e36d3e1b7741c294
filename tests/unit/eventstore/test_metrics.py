"""What the store counts."""

import logging

import pytest
from dagwire_eventstore import metrics
from dagwire_eventstore.metrics import Metrics


def test_it_counts_what_is_new_and_what_was_there(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    counted = Metrics()
    counted.batch_stored(events=10, new=7, seconds=0.1)
    counted.batch_stored(events=5, new=5, seconds=0.1)
    counted.message_buried()
    assert (counted.events, counted.duplicates, counted.batches, counted.dead) == (12, 3, 2, 1)
    assert not caplog.records


def test_it_tells_what_happened_since_it_last_told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    caplog.set_level(logging.INFO)
    counted = Metrics()
    monkeypatch.setattr(metrics, "PERIOD_SECONDS", 0.0)
    counted.batch_stored(events=3, new=3, seconds=0.1)
    counted.batch_stored(events=4, new=4, seconds=0.3)
    assert [record.since_last for record in caplog.records] == [3, 4]
    assert [record.total for record in caplog.records] == [3, 7]
