"""The launcher's settings."""

import pytest
from dagwire_launcher.instance import instance_name
from dagwire_launcher.settings import Settings
from dagwire_shared.errors import SettingsError


def test_every_setting_has_a_default_and_a_sentence():
    Settings.load()
    assert all(field.description for field in Settings.model_fields.values())


def test_workers_get_the_launchers_server_unless_they_have_their_own():
    assert Settings.load(nats_url="nats://a").process.nats_url == "nats://a"
    assert Settings.load(nats_url="nats://a", worker_nats_url="nats://b").process.nats_url == "nats://b"


def test_wrong_settings_are_all_named_at_once():
    with pytest.raises(SettingsError) as caught:
        Settings.load(max_concurrent_runs=-1, start_timeout_seconds=0)
    assert "DAGWIRE_LAUNCHER_MAX_CONCURRENT_RUNS" in str(caught.value)
    assert "DAGWIRE_LAUNCHER_START_TIMEOUT_SECONDS" in str(caught.value)


def test_a_name_is_held_by_one_process_and_free_again_after_it(tmp_path):
    with instance_name(tmp_path) as first:
        with instance_name(tmp_path) as second:
            assert first != second
        with instance_name(tmp_path) as third:
            assert third == second
    with instance_name(tmp_path) as again:
        assert again == first
