"""The launcher's settings."""

import pytest
from dagwire_launcher.errors import DirectoryError
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
    assert "launcher" not in str(settings.credentials.environment(RUN))
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


def test_pods_with_the_same_host_name_and_path_have_names_of_their_own(tmp_path):
    """Two emptyDir volumes at the same path, and pods on the host's network."""
    directory = tmp_path / "runs"
    with instance_name(directory) as first:
        directory.rename(tmp_path / "of another pod")
        with instance_name(directory) as second:
            assert first != second


def test_a_directory_that_cannot_be_made_is_said_with_its_setting(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DirectoryError, match="DAGWIRE_LAUNCHER_DIRECTORY"), instance_name(tmp_path / "file" / "runs"):
        pass


def test_workers_that_share_a_credential_get_it_apart_from_their_address():
    settings = Settings.load(
        nats_url="nats://a", nats_user="launcher", nats_password="l", worker_nats_user="worker",
        worker_nats_password="w@", worker_nats_url="nats://b",
    )  # fmt: skip
    assert settings.bus_address == "nats://launcher:l@a"
    assert settings.credentials.environment(RUN)["DAGWIRE_WORKER_NATS_URL"] == "nats://worker:w%40@b"
