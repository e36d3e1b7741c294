"""What each part is told: variables that its Settings know, and only the secrets that it needs."""

import json

import pytest
import yaml
from dagwire_dagit.settings import Settings as DagitSettings
from dagwire_eventstore.settings import EventStoreSettings, MigrationSettings
from dagwire_launcher.kubernetes.layers import SAFE, RunConfig
from dagwire_launcher.kubernetes.podconfig import FIELDS
from dagwire_launcher.natsauth import NatsAuthSettings
from dagwire_launcher.settings import Settings as LauncherSettings
from dagwire_scheduler.settings import Settings as SchedulerSettings
from dagwire_shared.locations import read_workspace
from dagwire_shared.settings import variable_of
from support.chart import CASES, CHART, WEATHER, render, text

SETTINGS = {
    "dagit": DagitSettings,
    "scheduler": SchedulerSettings,
    "launcher": LauncherSettings,
    "eventstore": EventStoreSettings,
    "migrate": MigrationSettings,
}
HELPERS = {"DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME"}
"""Variables for others to refer to: their values may come from a Secret."""


def variables(settings):
    return {variable_of(settings, field) for field in settings.model_fields}


@pytest.mark.parametrize("case", ["default", "external", "external without callout"])
@pytest.mark.parametrize("component", SETTINGS)
def test_every_variable_of_a_service_is_one_of_its_settings(component, case):
    told = set(render(CASES[case]).env(component))
    assert told - HELPERS <= variables(SETTINGS[component])
    assert {name for name in told if name.startswith("DAGWIRE_")}


def test_the_nats_servers_users_are_told_all_that_they_need():
    (init,) = render({}).pod("nats").init_containers
    told = {one.name for one in init.env}
    expected = {
        variable_of(NatsAuthSettings, field) for field in NatsAuthSettings.model_fields if field.endswith("_password")
    }
    assert told == expected | {"DAGWIRE_LAUNCHER_CREDENTIAL_SECRET"}


def settings_of(component, monkeypatch):
    """The component's settings, as the pod reads them."""
    told = render({"userDeployments": [WEATHER]}).env(component)
    for name, value in told.items():
        plain = value if isinstance(value, str) else f"secret-of-{value[1]}-that-is-long-enough"
        for other in HELPERS:
            plain = plain.replace(f"$({other})", str(told.get(other)))
        monkeypatch.setenv(name, plain)
    return SETTINGS[component].load()


def test_the_services_read_their_settings(monkeypatch):
    dagit = settings_of("dagit", monkeypatch)
    assert (dagit.host, dagit.port) == ("0.0.0.0", 80)  # noqa: S104 -- compared, not bound
    assert dagit.database_address.startswith("postgresql://dagwire_reader:secret-of-reader-password")
    assert dagit.database_address.endswith("@dagwire-postgresql:5432/dagwire")
    assert settings_of("scheduler", monkeypatch).bus_address.startswith("nats://scheduler:secret-of-scheduler")
    launcher = settings_of("launcher", monkeypatch)
    assert (launcher.backend, launcher.namespace, launcher.instance) == ("kubernetes", "data", "dagwire")
    assert launcher.worker_nats_url.get_secret_value() == "nats://dagwire-nats.data:4222"
    store = settings_of("eventstore", monkeypatch)
    assert (store.migration, store.health_port) == ("await", 8081)
    assert "dagwire_writer:" in store.database_address
    migration = settings_of("migrate", monkeypatch)
    assert [role.name for role in migration.roles] == ["dagwire_writer", "dagwire_reader"]
    assert "dagwire:secret-of-owner" in migration.database_address


def secrets_of(rendering):
    found = {}
    for component, template in rendering.pods:
        keys = found.setdefault(component, set())
        for container in [*(template.spec.init_containers or []), *template.spec.containers]:
            for variable in container.env or []:
                if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
                    keys.add(variable.value_from.secret_key_ref.key)
        assert not [volume for volume in template.spec.volumes if volume.secret]
    return found


def test_each_part_holds_only_the_secrets_that_it_needs():
    services = {f"{name}-password" for name in ("dagit", "scheduler", "launcher", "eventstore", "client")}
    assert secrets_of(render({"userDeployments": [WEATHER], "nats": {"replicaCount": 3}})) == {
        "dagit": {"dagit-password", "reader-password"},
        "scheduler": {"scheduler-password"},
        "launcher": {"launcher-password", "credential-secret"},
        "eventstore": {"eventstore-password", "writer-password"},
        "migrate": {"owner-password", "writer-password", "reader-password"},
        "nats": services | {"credential-secret", "route-password"},
        "postgresql": {"owner-password"},
        "user-code": set(),
        "test": set(),
    }


def test_generated_passwords_are_long_different_and_kept_when_the_release_goes():
    rendering = render({})
    passwords = []
    for name in ("dagwire-nats", "dagwire-postgresql"):
        secret = rendering.get("Secret", name)
        assert secret.metadata.annotations == {"helm.sh/resource-policy": "keep"}
        passwords += secret.data.values()
    assert len(passwords) == len(set(passwords)) == 10
    assert all(len(password) == 56 for password in passwords)


def test_no_password_stands_in_anything_but_a_secret():
    given = {"owner": "PlainOwner", "writer": "PlainWriter", "reader": "PlainReader"}
    manifests = text({"postgresql": {"auth": {"passwords": given}}})
    assert "Plain" not in manifests
    assert "UGxhaW5Pd25lcg==" in manifests


@pytest.mark.parametrize("part", ["nats", "postgresql"])
def test_a_secret_of_yours_with_keys_of_yours_is_used_and_none_is_made(part):
    keys = yaml.safe_load((CHART / "values.yaml").read_text())[part]["auth"]["keys"]
    mine = {key: f"my-{key}" for key in keys if keys[key]}
    more = {"replicaCount": 3} if part == "nats" else {}
    rendering = render({part: {"auth": {"existingSecret": "no", "keys": mine}, **more}})
    assert f"dagwire-{part}" not in rendering.names("Secret")
    used = set().union(*secrets_of(rendering).values())
    assert {value for value in mine.values() if value != "my-worker"} <= used
    assert "no" in {value[0] for value in rendering.env("dagit").values() if isinstance(value, tuple)}


def test_the_layers_of_run_pods_are_those_that_the_launcher_knows():
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["definitions"]["runConfig"]["properties"]) == set(FIELDS)


def test_the_default_allow_list_is_the_launchers():
    assert tuple(render({}).data("dagwire-runs", "runs.yaml")["kubernetes"]["allow"]) == SAFE


def test_the_launcher_reads_the_run_config_file(tmp_path):
    values = {
        "imagePullSecrets": ["registry"],
        "runs": {"default": {"env": {"A": 1}, "resources": {"requests": {"cpu": 1}}}, "allow": "*"},
        "userDeployments": [
            {**WEATHER, "env": {"B": 2}, "envSecrets": ["s"], "runConfig": {"nodeSelector": {"a": "b"}}}
        ],
    }
    file = tmp_path / "runs.yaml"
    file.write_text(render(values).raw("ConfigMap", "dagwire-runs")["data"]["runs.yaml"])
    RunConfig.read(file)
    read = yaml.safe_load(file.read_text())["kubernetes"]
    assert read["default"]["serviceAccountName"] == "dagwire-run"
    assert read["default"]["env"] == [{"name": "A", "value": "1"}]
    assert read["locations"]["weather"]["env"] == [{"name": "B", "value": "2"}]
    assert read["locations"]["weather"]["nodeSelector"] == {"a": "b"}


def test_the_services_read_the_workspace_file(tmp_path):
    values = {
        "userDeployments": [{**WEATHER, "port": 4040}],
        "workspace": {"servers": [{"host": "code.other", "port": 1, "name": "other", "ssl": True}]},
    }
    file = tmp_path / "workspace.yaml"
    file.write_text(render(values).raw("ConfigMap", "dagwire-workspace")["data"]["workspace.yaml"])
    weather, other = read_workspace(file)
    assert (weather.name, weather.host, weather.port, weather.ssl) == ("weather", "weather", 4040, False)
    assert (other.name, other.host, other.port, other.ssl) == ("other", "code.other", 1, True)


def replaced(values):
    """The components whose pods are replaced when these values come."""
    before, after = dict(render({}).pods), dict(render(values).pods)
    return {name for name in before if before[name].metadata.annotations != after[name].metadata.annotations}


def test_changed_files_replace_the_pods_that_read_them():
    assert replaced({"userDeployments": [WEATHER]}) == {"dagit", "scheduler", "launcher"}
    assert replaced({"runs": {"default": {"image": "a"}}}) == {"launcher"}
    assert replaced({"nats": {"config": "max_connections: 7"}}) == {"nats"}


def test_dagit_answers_to_its_own_names_and_those_of_its_routes():
    values = {
        "dagit": {"allowedHosts": ["extra.example.org"]},
        "ingress": {"enabled": True, "hosts": [{"host": "a.example.org"}]},
        "httpRoute": {"enabled": True, "hostnames": ["b.example.org"]},
    }
    hosts = render(values).env("dagit")["DAGWIRE_DAGIT_ALLOWED_HOSTS"].split(",")
    service = ["dagwire-dagit", "dagwire-dagit.data", "dagwire-dagit.data.svc", "dagwire-dagit.data.svc.cluster.local"]
    assert hosts == [*service, "a.example.org", "b.example.org", "extra.example.org"]


def test_dagit_may_listen_on_the_port_that_people_forward_to():
    pod = render({}).pod("dagit")
    assert pod.containers[0].ports[0].container_port == 80
    assert [(one.name, one.value) for one in pod.security_context.sysctls] == [
        ("net.ipv4.ip_unprivileged_port_start", "0")
    ]
    assert render({"dagit": {"port": 3000}}).pod("dagit").security_context.sysctls is None
