"""How a process reads its settings."""

import pytest
from dagwire_shared.errors import SettingsError
from dagwire_shared.settings import BusSettings, DatabaseSettings, ServiceSettings, variable_of
from pydantic import Field, ValidationError
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DAGWIRE_DEMO_")

    nats_url: str
    """Where the bus is."""
    port: int = Field(default=3000, ge=1, le=65535)
    """The port that is listened on."""
    hosts: list[str] = Field(default_factory=list)
    """The host names that are answered."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DAGWIRE_DEMO_NATS_URL", "nats://localhost")
    return monkeypatch


def test_settings_come_from_the_environment(environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_DEMO_PORT", "4000")
    environment.setenv("DAGWIRE_DEMO_HOSTS", '["a", "b"]')
    environment.setenv("DAGWIRE_DEMO_LOG_FORMAT", "json")

    settings = Settings.load()

    assert (settings.nats_url, settings.port, settings.hosts) == ("nats://localhost", 4000, ["a", "b"])
    assert (settings.log_format, settings.log_level) == ("json", "INFO")


def test_an_override_wins_over_the_environment():
    assert Settings.load(nats_url="nats://other").nats_url == "nats://other"


def test_every_fault_is_listed_at_once_by_its_variable(environment: pytest.MonkeyPatch):
    environment.delenv("DAGWIRE_DEMO_NATS_URL")
    environment.setenv("DAGWIRE_DEMO_PORT", "70000")
    environment.setenv("DAGWIRE_DEMO_LOG_LEVEL", "LOUD")

    with pytest.raises(SettingsError) as faults:
        Settings.load()

    lines = str(faults.value).splitlines()
    assert lines[0] == "wrong settings:"
    assert lines[1].startswith("  DAGWIRE_DEMO_LOG_LEVEL: input should be 'DEBUG'")
    assert lines[2] == "  DAGWIRE_DEMO_NATS_URL: is not set — Where the bus is."
    assert lines[3].startswith("  DAGWIRE_DEMO_PORT: input should be less than or equal to 65535")
    assert len(lines) == 4


def test_a_fault_inside_a_list_names_its_place(environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_DEMO_HOSTS", '["a", 5]')

    with pytest.raises(SettingsError, match=r"DAGWIRE_DEMO_HOSTS\[1\]: input should be a valid string"):
        Settings.load()


def test_a_list_that_is_no_json_is_said(environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_DEMO_HOSTS", "a,b")

    with pytest.raises(SettingsError, match=r"DAGWIRE_DEMO_HOSTS: is not valid JSON — The host names"):
        Settings.load()


def test_a_fault_never_shows_the_value(environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_DEMO_PORT", "hunter2")

    with pytest.raises(SettingsError) as faults:
        Settings.load()

    assert "hunter2" not in str(faults.value)


def test_settings_do_not_change():
    settings = Settings.load()

    with pytest.raises(ValidationError):
        settings.port = 1


def test_a_field_knows_its_variable():
    assert variable_of(Settings, "nats_url") == "DAGWIRE_DEMO_NATS_URL"


class Parts(BusSettings, DatabaseSettings):
    model_config = SettingsConfigDict(env_prefix="DAGWIRE_DEMO_")


def test_passwords_are_laid_into_the_addresses_and_never_shown(environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_DEMO_NATS_URL", "nats://a:4222,nats://b:4222")
    environment.setenv("DAGWIRE_DEMO_NATS_USER", "dagit")
    environment.setenv("DAGWIRE_DEMO_NATS_PASSWORD", "hunter2@/")
    environment.setenv("DAGWIRE_DEMO_DATABASE_URL", "postgresql://db/dagwire")
    environment.setenv("DAGWIRE_DEMO_DATABASE_USER", "reader")
    environment.setenv("DAGWIRE_DEMO_DATABASE_PASSWORD", "hunter2:")

    settings = Parts.load()

    assert settings.bus_address == "nats://dagit:hunter2%40%2F@a:4222,nats://dagit:hunter2%40%2F@b:4222"
    assert settings.database_address == "postgresql://reader:hunter2%3A@db/dagwire"
    assert "hunter2" not in repr(settings)


def test_a_wrong_address_is_named_without_being_shown(environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_DEMO_NATS_URL", "http://user:hunter2@a")
    environment.setenv("DAGWIRE_DEMO_DATABASE_URL", "postgresql://db/dagwire")

    with pytest.raises(SettingsError, match=r"DAGWIRE_DEMO_NATS_URL: is not of the form nats://") as faults:
        Parts.load()

    assert "hunter2" not in str(faults.value)


def test_a_variable_that_is_empty_is_not_set(environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_DEMO_NATS_USER", "")
    environment.setenv("DAGWIRE_DEMO_DATABASE_URL", "")

    with pytest.raises(SettingsError, match=r"DAGWIRE_DEMO_DATABASE_URL: is not set"):
        Parts.load()
    assert Parts.load(database_url="postgresql://db/dagwire").bus_address == "nats://localhost"


def test_a_port_of_kubernetes_service_links_is_refused(environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_DEMO_HEALTH_PORT", "tcp://10.0.0.1:80")

    with pytest.raises(SettingsError, match="DAGWIRE_DEMO_HEALTH_PORT: input should be a valid integer"):
        Settings.load()


@pytest.fixture
def secrets(environment: pytest.MonkeyPatch, tmp_path):
    """A folder of mounted secrets."""
    environment.setenv("DAGWIRE_SECRETS_DIRECTORY", str(tmp_path))
    return tmp_path


def test_a_secret_is_read_from_the_file_that_is_named_like_its_variable(secrets):
    (secrets / "dagwire_demo_nats_password").write_text("from a file\n")
    (secrets / "dagwire_else_nats_password").write_text("not mine")
    found = Parts.load(nats_url="nats://h", nats_user="me", database_url="postgresql://h/d")
    assert found.nats_password is not None
    assert found.nats_password.get_secret_value() == "from a file"


def test_the_environment_wins_over_a_file(secrets, environment: pytest.MonkeyPatch):
    (secrets / "dagwire_demo_nats_user").write_text("file")
    environment.setenv("DAGWIRE_DEMO_NATS_USER", "environment")
    assert Parts.load(nats_url="nats://h", database_url="postgresql://h/d").nats_user == "environment"


def test_secrets_that_cannot_be_read_are_an_error_and_not_passed_over(secrets, environment: pytest.MonkeyPatch):
    environment.setenv("DAGWIRE_SECRETS_DIRECTORY", str(secrets / "nowhere"))
    with pytest.raises(SettingsError, match=r"DAGWIRE_SECRETS_DIRECTORY: .*nowhere cannot be read"):
        Settings.load()


def test_a_field_with_a_variable_of_its_own_is_called_by_that():
    class Shared(ServiceSettings):
        model_config = SettingsConfigDict(env_prefix="DAGWIRE_DEMO_")
        secret: str = Field(validation_alias="DAGWIRE_OTHER_SECRET")

    with pytest.raises(SettingsError, match=r"\n  DAGWIRE_OTHER_SECRET: is not set"):
        Shared.load()
