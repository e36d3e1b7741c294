"""The launcher's settings."""

import pytest
from dagwire_launcher.instance import instance_name
from dagwire_launcher.settings import Settings
from dagwire_shared.errors import SettingsError
from dagwire_shared.ids import run_id_for

RUN = run_id_for("k")


def test_every_setting_has_a_default_and_a_sentence():
    Settings.load()
    assert all(field.description for field in Settings.model_fields.values())


def test_workers_get_the_launchers_server_unless_they_have_their_own():
    def url(**settings: str) -> str:
        return Settings.load(**settings).credentials.environment(RUN)["DAGWIRE_WORKER_NATS_URL"]

    assert url(nats_url="nats://a") == "nats://a"
    assert url(nats_url="nats://a", worker_nats_url="nats://b") == "nats://b"


def test_with_a_credential_secret_each_worker_gets_a_credential_of_its_own():
    settings = Settings.load(nats_url="nats://launcher:l@a", credential_secret="s" * 32)
    assert "launcher" not in str(settings.process.credentials.environment(RUN))
    assert "sss" not in repr(settings)


def test_a_short_credential_secret_is_refused_without_being_shown():
    with pytest.raises(SettingsError, match="DAGWIRE_LAUNCHER_CREDENTIAL_SECRET") as caught:
        Settings.load(credential_secret="letmein")
    assert "letmein" not in str(caught.value)


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
