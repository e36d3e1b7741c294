"""The store's settings."""

from datetime import timedelta
from pathlib import Path

import dagwire_eventstore
import pytest
from dagwire_eventstore.settings import EventStoreSettings
from dagwire_shared.errors import SettingsError
from dagwire_shared.settings import variable_of

ADDRESSES = {"nats_url": "nats://localhost", "database_url": "postgresql://localhost/dagwire"}


def test_zero_days_of_retention_means_for_ever():
    assert EventStoreSettings.load(**ADDRESSES).log_retention == timedelta(days=90)
    assert EventStoreSettings.load(**ADDRESSES, log_retention_days=0).log_retention is None


def test_more_partitions_than_shards_are_refused():
    with pytest.raises(SettingsError, match="DAGWIRE_EVENTSTORE_PARTITIONS"):
        EventStoreSettings.load(**ADDRESSES, partitions=17)


def test_the_readme_names_every_setting():
    readme = Path(dagwire_eventstore.__file__).parents[2] / "README.md"
    text = readme.read_text(encoding="utf-8")
    for field in EventStoreSettings.model_fields:
        name = variable_of(EventStoreSettings, field)
        assert name in text or name.replace("DAGWIRE_EVENTSTORE_", "…_") in text
