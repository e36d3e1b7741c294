"""NATS and PostgreSQL, here or elsewhere: their servers' configuration, and how the services find them."""

import re
import subprocess

import pytest
from dagwire_launcher import natsauth
from dagwire_standalone.nats import program
from support.chart import CASES, RefusedError, render, text

CLUSTER = {"nats": {"replicaCount": 3}}
EXTERNAL = CASES["external"]
WITHOUT_CALLOUT = CASES["external without callout"]


def run_config_check(tmp_path, monkeypatch, values):
    """Let a real server read the configuration, with what the init container writes and the pod's variables."""
    rendering = render(values)
    config, auth = tmp_path / "nats-config", tmp_path / "nats-auth"
    config.mkdir()
    auth.mkdir()
    content = rendering.raw("ConfigMap", "dagwire-nats")["data"]["nats.conf"]
    (config / "nats.conf").write_text(content.replace("/data", str(tmp_path / "data")))
    for name in ("DAGIT", "SCHEDULER", "LAUNCHER", "EVENTSTORE"):
        monkeypatch.setenv(f"DAGWIRE_NATS_{name}_PASSWORD", f'{name} of "some" $kind \'')
    monkeypatch.setenv("DAGWIRE_LAUNCHER_CREDENTIAL_SECRET", "s" * 40)
    assert natsauth.nats_auth(["nats-auth", "--output", str(auth / "auth.conf")]) == 0
    for name, value in rendering.env("nats").items():
        plain = value.replace("$(ROUTE_KEY)", "12345678") if isinstance(value, str) else "12345678"
        monkeypatch.setenv(name, plain if name != "POD_NAME" else "dagwire-nats-0")
    monkeypatch.setenv("POD_NAME", "dagwire-nats-0")
    command = [str(program()), "-t", "--config", str(config / "nats.conf")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("values", [{}, CLUSTER, {"nats": {"config": "max_connections: 1000\n"}}])
def test_a_real_server_reads_its_configuration(tmp_path, monkeypatch, values):
    done = run_config_check(tmp_path, monkeypatch, values)
    assert done.returncode == 0, done.stderr


def test_a_real_server_would_refuse_a_wrong_configuration(tmp_path, monkeypatch):
    done = run_config_check(tmp_path, monkeypatch, {"nats": {"config": "max_connectionz: 1"}})
    assert "max_connectionz" in done.stderr
    assert done.returncode != 0


def test_what_nats_acknowledges_is_on_the_disk():
    assert "sync_interval: always" in render({}).raw("ConfigMap", "dagwire-nats")["data"]["nats.conf"]


@pytest.mark.parametrize(("values", "replicas"), [({}, "1"), (CLUSTER, "3"), (EXTERNAL, "1")])
def test_every_service_makes_streams_with_as_many_replicas_as_there_are_servers(values, replicas):
    rendering = render(values)
    for service in ("dagit", "scheduler", "launcher", "eventstore"):
        assert rendering.env(service)[f"DAGWIRE_{service.upper()}_STREAM_REPLICAS"] == replicas


def test_servers_of_a_cluster_know_each_other_by_stable_names_and_a_password():
    rendering = render(CLUSTER)
    spec = rendering.get("StatefulSet", "dagwire-nats").spec
    assert (spec.replicas, spec.service_name, spec.pod_management_policy) == (3, "dagwire-nats-headless", "Parallel")
    routes = [value for name, value in rendering.env("nats").items() if re.match(r"ROUTE_\d", name)]
    assert routes == [
        f'"nats://route:$(ROUTE_KEY)@dagwire-nats-{number}.dagwire-nats-headless:6222"' for number in range(3)
    ]
    headless = rendering.get("Service", "dagwire-nats-headless").spec
    assert (headless.cluster_ip, headless.publish_not_ready_addresses) == ("None", True)


def test_a_server_of_a_cluster_sends_its_clients_away_before_it_stops_and_a_single_one_stops_at_once():
    command = render(CLUSTER).container("nats").lifecycle.pre_stop._exec.command
    assert command == ["nats-server", "--signal", "ldm=/tmp/nats.pid"]
    assert render({}).container("nats").lifecycle is None


@pytest.mark.parametrize(("part", "path"), [("nats", "/data"), ("postgresql", "/var/lib/postgresql")])
def test_a_store_keeps_its_data_on_a_volume(part, path):
    storage = {"size": "77Gi", "storageClassName": "fast", "accessModes": ["ReadWriteOncePod"]}
    rendering = render({part: {"storage": storage}})
    (claim,) = rendering.get("StatefulSet", f"dagwire-{part}").spec.volume_claim_templates
    assert (claim.spec.storage_class_name, claim.spec.access_modes) == ("fast", ["ReadWriteOncePod"])
    assert claim.spec.resources.requests == {"storage": "77Gi"}
    mounts = {mount.name: mount.mount_path for mount in rendering.container(part).volume_mounts}
    assert mounts[claim.metadata.name] == path
    assert (
        render({}).get("StatefulSet", f"dagwire-{part}").spec.volume_claim_templates[0].spec.storage_class_name is None
    )


def test_the_database_server_listens_for_passwords_only():
    env = render({"postgresql": {"database": "d", "auth": {"users": {"owner": "o"}}}}).env("postgresql")
    assert env["POSTGRES_HOST_AUTH_METHOD"] == "scram-sha-256"
    assert (env["POSTGRES_DB"], env["POSTGRES_USER"]) == ("d", "o")
    assert env["POSTGRES_PASSWORD"] == ("dagwire-postgresql", "owner-password")


def test_the_database_server_takes_arguments():
    assert render({"postgresql": {"arguments": ["-c", "max_connections=9"]}}).container("postgresql").args == [
        "postgres",
        "-c",
        "max_connections=9",
    ]


def test_nothing_of_a_store_is_made_that_is_elsewhere():
    rendering = render(EXTERNAL)
    assert rendering.names("StatefulSet") == rendering.names("Secret") == set()
    assert "dagwire-nats" not in rendering.names("Service") | rendering.names("ConfigMap")


def test_an_external_bus_is_asked_with_or_without_callout():
    launcher = render(EXTERNAL).env("launcher")
    assert launcher["DAGWIRE_LAUNCHER_NATS_URL"] == "tls://n.example.org:4443"
    assert launcher["DAGWIRE_LAUNCHER_CREDENTIAL_SECRET"] == ("n", "credential-secret")
    launcher = render(WITHOUT_CALLOUT).env("launcher")
    assert "DAGWIRE_LAUNCHER_CREDENTIAL_SECRET" not in launcher
    assert launcher["DAGWIRE_LAUNCHER_WORKER_NATS_USER"] == "worker"
    assert launcher["DAGWIRE_LAUNCHER_WORKER_NATS_PASSWORD"] == ("n", "worker-password")


def test_where_an_external_database_is_and_who_asks_may_come_from_a_secret():
    env = render(EXTERNAL).env("dagit")
    assert env["DATABASE_HOST"] == ("p", "host")
    assert env["DATABASE_PORT"] == ("p", "port")
    assert env["DAGWIRE_DAGIT_DATABASE_USER"] == ("p", "user")
    assert env["DAGWIRE_DAGIT_DATABASE_URL"] == "postgresql://$(DATABASE_HOST):$(DATABASE_PORT)/$(DATABASE_NAME)"


def test_an_external_database_is_verified_with_its_authority():
    rendering = render(WITHOUT_CALLOUT)
    for component, prefix in (("dagit", "DAGIT"), ("eventstore", "EVENTSTORE"), ("migrate", "EVENTSTORE")):
        url = rendering.env(component)[f"DAGWIRE_{prefix}_DATABASE_URL"]
        assert url.endswith("?sslmode=verify-full&sslrootcert=/etc/dagwire/postgresql/ca.crt")
        assert [one for one in rendering.pod(component).volumes if one.secret and one.secret.secret_name == "ca"]


def test_parameters_of_the_databases_address_are_passed_on():
    values = {"postgresql": {"parameters": {"sslmode": "require", "connect_timeout": 5}}}
    assert render(values).env("dagit")["DAGWIRE_DAGIT_DATABASE_URL"].endswith("?connect_timeout=5&sslmode=require")


def test_roles_that_exist_are_granted_and_not_made():
    env = render({"postgresql": {"auth": {"createRoles": False}}}).env("migrate")
    assert env["DAGWIRE_EVENTSTORE_WRITER_ROLE"] == "dagwire_writer"
    assert "DAGWIRE_EVENTSTORE_WRITER_PASSWORD" not in env
    one_user = {"owner": "app", "writer": "app", "reader": "app"}
    env = render({"postgresql": {"auth": {"createRoles": False, "users": one_user}}}).env("migrate")
    assert not [name for name in env if "ROLE" in name]


def test_the_migration_is_a_hook_that_does_not_make_helm_wait_for_itself():
    """After the installation, because then there is a database; the services become ready without it."""
    job = render({}).get("Job", "dagwire-migrate")
    assert job.metadata.annotations["helm.sh/hook"] == "post-install,pre-upgrade"
    assert job.metadata.annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert job.spec.template.spec.containers[0].command == ["python", "-m", "dagwire_eventstore", "migrate"]
    assert render({}).env("eventstore")["DAGWIRE_EVENTSTORE_MIGRATION"] == "await"
    assert "dagwire-migrate" not in render({"migrate": {"enabled": False}}).names("Job")


@pytest.mark.parametrize("url", ["n.example.org", "nats://user:secret@n", "http://n"])
def test_an_address_of_nats_that_is_none_or_holds_a_password_is_refused(url):
    with pytest.raises(RefusedError, match=r"nats\.url: Does not match pattern"):
        text({"nats": {"url": url}})


def test_the_workspace_file_may_be_yours():
    rendering = render({"workspace": {"existingConfigMap": "ours"}})
    assert "dagwire-workspace" not in rendering.names("ConfigMap")
    for service in ("dagit", "scheduler"):
        assert "ours" in {one.config_map.name for one in rendering.pod(service).volumes if one.config_map}


def test_an_empty_release_has_an_empty_workspace():
    assert render({}).data("dagwire-workspace", "workspace.yaml") == {"load_from": []}
