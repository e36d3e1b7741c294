"""Values that were written for Dagster's chart: they install, or it is said which keys have no meaning here."""

import json
import re

import pytest
import yaml
from support.chart import CHART, RefusedError, render, text

TABLE = yaml.safe_load((CHART / "files" / "dagster.yaml").read_text())
COMMON = {
    "global": {"postgresqlSecretName": "dagster-postgresql-secret", "dagsterHome": "/opt/dagster/dagster_home"},
    "generatePostgresqlPasswordSecret": True,
    "rbacEnabled": True,
    "imagePullSecrets": [],
    "dagsterWebserver": {
        "replicaCount": 2,
        "image": {"repository": "docker.io/dagster/dagster-celery-k8s", "tag": None, "pullPolicy": "Always"},
        "service": {"type": "ClusterIP", "port": 8080, "annotations": {}},
        "workspace": {"enabled": False, "servers": [], "externalConfigmap": None},
        "env": {"A": "b"},
        "readinessProbe": {"httpGet": {"path": "/server_info", "port": 80}, "periodSeconds": 20},
        "livenessProbe": {},
        "deploymentLabels": {"tier": "web"},
        "extraContainers": [{"name": "proxy", "image": "proxy"}],
        "dbStatementTimeout": None,
        "enableReadOnly": False,
        "pathPrefix": "",
    },
    "dagster-user-deployments": {
        "enabled": True,
        "enableSubchart": True,
        "imagePullSecrets": [{"name": "registry"}],
        "deployments": [
            {
                "name": "k8s-example-user-code-1",
                "image": {"repository": "docker.io/dagster/user-code-example", "tag": None, "pullPolicy": "Always"},
                "dagsterApiGrpcArgs": ["--python-file", "/example_project/example_repo/repo.py"],
                "port": 3030,
                "includeConfigInLaunchedRuns": {"enabled": True},
                "env": [{"name": "ENV", "value": "prod"}],
                "envConfigMaps": [{"name": "maps"}],
                "deploymentStrategy": {"type": "Recreate"},
                "readinessProbe": {
                    "enabled": True,
                    "exec": {"command": ["dagster", "api", "grpc-health-check", "-p", "3030"]},
                    "periodSeconds": 20,
                },
                "livenessProbe": {},
            }
        ],
    },
    "scheduler": {"type": "DagsterDaemonScheduler", "config": {}},
    "runLauncher": {
        "type": "K8sRunLauncher",
        "config": {
            "k8sRunLauncher": {
                "imagePullPolicy": "Always",
                "image": {"repository": "", "tag": "", "pullPolicy": "Always"},
                "jobNamespace": None,
                "loadInclusterConfig": True,
                "kubeconfigFile": None,
                "envConfigMaps": [],
                "envSecrets": [{"name": "aws"}],
                "envVars": ["FOO=bar"],
                "labels": {"team": "data"},
                "runK8sConfig": {"podSpecConfig": {"node_selector": {"disk": "ssd"}}},
            }
        },
    },
    "postgresql": {
        "enabled": True,
        "image": {"repository": "library/postgres", "tag": "14.6", "pullPolicy": "IfNotPresent"},
        "postgresqlHost": "",
        "postgresqlUsername": "test",
        "postgresqlPassword": "test",
        "postgresqlDatabase": "test",
        "postgresqlParams": {},
        "postgresqlScheme": "",
        "service": {"port": 5432},
    },
    "rabbitmq": {"enabled": False},
    "redis": {"enabled": False, "internal": False},
    "flower": {"enabled": False},
    "dagsterDaemon": {
        "enabled": True,
        "image": {"repository": "docker.io/dagster/dagster-celery-k8s", "tag": None},
        "heartbeatTolerance": 300,
        "nodeSelector": {"pool": "system"},
        "env": {"LEVEL": "1"},
        "runCoordinator": {
            "enabled": True,
            "type": "QueuedRunCoordinator",
            "config": {
                "queuedRunCoordinator": {
                    "maxConcurrentRuns": 25,
                    "tagConcurrencyLimits": [],
                    "dequeueIntervalSeconds": 5,
                }
            },
        },
        "runMonitoring": {"enabled": True, "startTimeoutSeconds": 180, "pollIntervalSeconds": 120},
        "runRetries": {"enabled": True, "maxRetries": 0},
        "sensors": {"useThreads": True},
    },
    "ingress": {
        "enabled": True,
        "apiVersion": None,
        "annotations": {"a": "b"},
        "ingressClassName": "nginx",
        "dagsterWebserver": {
            "host": "dagster.example.org",
            "path": "/*",
            "pathType": "ImplementationSpecific",
            "tls": {"enabled": True, "secretName": "cert"},
        },
    },
    "serviceAccount": {"create": True, "name": "", "annotations": {"role": "arn"}},
    "telemetry": {"enabled": True},
    "busybox": {"image": {"repository": "docker.io/busybox", "tag": "1.28"}},
    "computeLogManager": {"type": "NoOpComputeLogManager", "config": {}},
    "retention": {"enabled": False},
    "extraManifests": [],
    "migrate": {"enabled": False},
}
"""The common keys, as a copy of Dagster's values with a few changes holds them."""


@pytest.fixture(scope="module")
def release():
    return render(COMMON)


def runs(rendering):
    return rendering.data("dagwire-runs", "runs.yaml")["kubernetes"]


def test_the_web_page_has_its_settings_and_an_image_of_ours(release):
    found = release.get("Deployment", "dagwire-dagit")
    assert (found.spec.replicas, found.metadata.labels["tier"]) == (2, "web")
    container = release.container("dagit")
    assert container.image.startswith("dagwire/dagwire:")
    assert container.readiness_probe.http_get.path == "/readyz"
    assert release.env("dagit")["A"] == "b"
    assert [one.name for one in release.pod("dagit").containers] == ["dagit", "proxy"]
    assert release.get("Service", "dagwire-dagit").spec.ports[0].port == 8080


def test_the_user_code_is_served_by_dagwire(release):
    name = "k8s-example-user-code-1"
    found = release.get("Deployment", f"dagwire-{name}")
    assert found.spec.strategy.type == "Recreate"
    container = release.container("user-code")
    assert container.image == "docker.io/dagster/user-code-example:0.1.0"
    assert container.command[-2:] == ["--python-file", "/example_project/example_repo/repo.py"]
    assert container.readiness_probe.grpc.port == 3030
    assert container.readiness_probe.period_seconds == 20
    assert release.names("Service") >= {name}
    assert [one.name for one in release.pod("user-code").image_pull_secrets] == ["registry"]


def test_runs_have_the_launchers_and_the_locations_settings(release):
    found = runs(release)
    assert found["default"]["envSecrets"] == [{"name": "aws"}]
    assert found["default"]["env"] == [{"name": "FOO", "value": "bar"}]
    assert found["default"]["labels"] == {"team": "data"}
    assert found["default"]["podSpecConfig"] == {"node_selector": {"disk": "ssd"}}
    assert found["default"]["imagePullPolicy"] == "Always"
    assert "image" not in found["default"]
    location = found["locations"]["k8s-example-user-code-1"]
    assert location["env"] == [{"name": "ENV", "value": "prod"}]
    assert location["envFrom"] == [{"configMapRef": {"name": "maps"}}]


def test_the_daemons_settings_are_those_of_scheduler_and_launcher(release):
    for service in ("scheduler", "launcher"):
        assert release.pod(service).node_selector == {"pool": "system"}
        assert release.env(service)["LEVEL"] == "1"
    launcher = release.env("launcher")
    assert launcher["DAGWIRE_LAUNCHER_MAX_CONCURRENT_RUNS"] == "25"
    assert launcher["DAGWIRE_LAUNCHER_START_TIMEOUT_SECONDS"] == "180"


def test_no_limit_of_concurrent_runs_stays_none():
    values = {"dagsterDaemon": {"runCoordinator": {"config": {"queuedRunCoordinator": {"maxConcurrentRuns": -1}}}}}
    assert render(values).env("launcher")["DAGWIRE_LAUNCHER_MAX_CONCURRENT_RUNS"] == "1000000"


def test_the_built_in_database_has_the_given_user_and_password_and_roles_of_its_own(release):
    assert release.env("postgresql")["POSTGRES_USER"] == release.env("postgresql")["POSTGRES_DB"] == "test"
    assert release.raw("Secret", "dagwire-postgresql")["data"]["owner-password"] == "dGVzdA=="
    assert release.env("eventstore")["DAGWIRE_EVENTSTORE_DATABASE_USER"] == "dagwire_writer"


def external(**more):
    postgresql = {"enabled": False, "postgresqlHost": "db", "postgresqlUsername": "app", "service": {"port": 5433}}
    return render({"postgresql": {**postgresql, **more.pop("postgresql", {})}, **more})


def test_an_external_database_has_one_user_with_the_password_of_the_named_secret():
    rendering = external(**{"global": {"postgresqlSecretName": "my-secret"}, "generatePostgresqlPasswordSecret": False})
    for service, prefix in (("dagit", "DAGIT"), ("eventstore", "EVENTSTORE"), ("migrate", "EVENTSTORE")):
        env = rendering.env(service)
        assert (env["DATABASE_HOST"], env["DATABASE_PORT"]) == ("db", "5433")
        assert env[f"DAGWIRE_{prefix}_DATABASE_USER"] == "app"
        assert env[f"DAGWIRE_{prefix}_DATABASE_PASSWORD"] == ("my-secret", "postgresql-password")
    assert "dagwire-postgresql" not in rendering.names("Secret")


def test_an_external_database_has_a_generated_secret_with_the_given_password():
    rendering = external(postgresql={"postgresqlPassword": "pw"}, generatePostgresqlPasswordSecret=True)
    assert rendering.raw("Secret", "dagwire-postgresql")["data"]["owner-password"] == "cHc="
    assert rendering.env("dagit")["DAGWIRE_DAGIT_DATABASE_PASSWORD"] == ("dagwire-postgresql", "owner-password")


def test_the_ingress_has_its_host_and_tls(release):
    found = release.get("Ingress", "dagwire-dagit")
    (rule,) = found.spec.rules
    assert (rule.host, rule.http.paths[0].path) == ("dagster.example.org", "/")
    assert (found.spec.ingress_class_name, found.spec.tls[0].secret_name) == ("nginx", "cert")
    assert "dagster.example.org" in release.env("dagit")["DAGWIRE_DAGIT_ALLOWED_HOSTS"]


def test_account_annotations_reach_every_account(release):
    for name in release.names("ServiceAccount"):
        assert release.get("ServiceAccount", name).metadata.annotations == {"role": "arn"}


def test_the_older_names_work_too():
    values = {
        "dagit": {"replicaCount": 3, "workspace": {"enabled": True, "servers": [{"host": "other", "port": 1}]}},
        "userDeployments": {"enabled": True, "deployments": COMMON["dagster-user-deployments"]["deployments"]},
        "pipelineRun": {"image": {"repository": "x", "tag": "y"}, "env": {"OLD": "1"}},
        "ingress": {"enabled": True, "dagit": {"host": "old.example.org"}},
        "dagsterDaemon": {"queuedRunCoordinator": {"enabled": True, "config": {"max_concurrent_runs": 4}}},
    }
    rendering = render(values)
    assert rendering.get("Deployment", "dagwire-dagit").spec.replicas == 3
    workspace = rendering.data("dagwire-workspace", "workspace.yaml")["load_from"]
    assert [one["grpc_server"]["host"] for one in workspace] == ["k8s-example-user-code-1", "other"]
    assert runs(rendering)["default"]["env"] == [{"name": "OLD", "value": "1"}]
    assert rendering.get("Ingress", "dagwire-dagit").spec.rules[0].host == "old.example.org"
    assert rendering.env("launcher")["DAGWIRE_LAUNCHER_MAX_CONCURRENT_RUNS"] == "4"


def test_user_code_of_another_release_is_listed_and_not_installed():
    deployments = {
        "enabled": True,
        "enableSubchart": False,
        "deployments": [{"name": "a", "image": {"repository": "a"}}],
    }
    rendering = render({"dagster-user-deployments": deployments})
    (server,) = rendering.data("dagwire-workspace", "workspace.yaml")["load_from"]
    assert server["grpc_server"] == {"host": "a", "port": 3030, "location_name": "a"}
    assert "dagwire-a" not in rendering.names("Deployment")
    none = render({"dagster-user-deployments": {**deployments, "enabled": False}})
    assert none.data("dagwire-workspace", "workspace.yaml") == {"load_from": []}


REFUSED = {entry["key"]: entry for entry in TABLE if "refused" in entry}


def nested(key, value):
    for part in reversed(key.split(".")):
        name = part.removesuffix("[]")
        value = {name: [{"name": "a", "image": {"repository": "a"}, **value}] if part.endswith("[]") else value}
    return value


def merged(one, other):
    for key, value in other.items():
        one[key] = merged(one[key], value) if isinstance(value, dict) and isinstance(one.get(key), dict) else value
    return one


def test_all_refused_keys_are_told_in_one_message_with_what_to_do():
    values = {}
    for key in REFUSED:
        merged(values, nested(key, "other"))
    with pytest.raises(RefusedError) as refusal:
        text(values)
    for key, entry in REFUSED.items():
        assert f"  - {key}: {entry['refused']}" in str(refusal.value)


def test_refused_keys_with_harmless_or_empty_values_are_fine():
    choices = {key: [*entry.get("harmless", []), None, ""] for key, entry in REFUSED.items()}
    for place in range(max(len(values) for values in choices.values())):
        together = {}
        for key, values in choices.items():
            merged(together, nested(key, values[place % len(values)]))
        text(together)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry["key"])
def test_an_entry_of_the_table_says_one_thing_and_points_at_a_key_that_exists(entry):
    assert len({"becomes", "ignored", "refused"} & set(entry)) == 1
    schema = json.loads((CHART / "values.schema.json").read_text())
    becomes = entry.get("becomes", [])
    for target in [becomes] if isinstance(becomes, str) else becomes:
        node = schema
        for part in re.split(r"\[\]\.|\.", target):
            while "$ref" in node:
                node = schema["definitions"][node["$ref"].rpartition("/")[2]]
            node = node.get("items", node) if part not in node.get("properties", {}) else node
            while "$ref" in node:
                node = schema["definitions"][node["$ref"].rpartition("/")[2]]
            if node.get("additionalProperties") is True:
                break
            node = node["properties"][part]
