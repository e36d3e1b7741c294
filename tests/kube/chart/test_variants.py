"""Releases that are not the default: three NATS servers, user code alone, stores elsewhere, Dagster's values."""

import time

import httpx
import pytest
from support import kube
from support.release import EXAMPLE, Release

pytestmark = pytest.mark.xdist_group("variants")

SECONDS = 60.0


def streams(namespace, pod):
    """Every stream that a server knows: its replicas, its leader, and whether that says that all of them are current.

    Only a stream's leader knows how far the others are.
    """
    with namespace.forwarded(f"pod/{pod}", 8222) as port:
        query = {"streams": "true", "config": "true", "accounts": "true"}
        found = httpx.get(f"http://127.0.0.1:{port}/jsz", params=query, timeout=10).raise_for_status().json()
    details = [stream for account in found["account_details"] for stream in account.get("stream_detail") or []]
    return {
        one["name"]: (
            one["config"]["num_replicas"],
            one["cluster"]["leader"],
            one["cluster"]["leader"] != pod or all(peer["current"] for peer in one["cluster"]["replicas"]),
        )
        for one in details
    }


def wait_until_current(namespace, pod):
    deadline = time.monotonic() + SECONDS
    while True:
        found = streams(namespace, pod)
        if found and all(leader and current for _, leader, current in found.values()):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def test_three_servers_keep_every_stream_and_one_of_them_may_die(namespace):
    release = Release(namespace)
    release.upgrade({**EXAMPLE, "nats": {"replicaCount": 3}})
    found = wait_until_current(namespace, "dagwire-nats-0")
    assert {name for name in found if name.startswith("DAGWIRE_")} >= {"DAGWIRE_REQUESTS", "DAGWIRE_EVENTS"}
    assert {replicas for replicas, _, _ in found.values()} == {3}
    leader = found["DAGWIRE_EVENTS"][1]
    namespace.kubectl("delete", "pod", leader, "--grace-period=0", "--force")
    assert release.follow(release.launch(key="one server away"))[0] == "SUCCESS"
    namespace.wait("condition=Ready", f"pod/{leader}", seconds=SECONDS)
    namespace.kubectl("rollout", "restart", "statefulset/dagwire-nats")
    run_id = release.launch(key="servers replaced one by one")
    namespace.kubectl("rollout", "status", "statefulset/dagwire-nats", "--timeout=180s", seconds=200)
    assert release.follow(run_id)[0] == "SUCCESS"
    with pytest.raises(kube.CommandFailedError, match="cannot become those of 1 in place"):
        release.upgrade(EXAMPLE)


def test_user_code_is_a_release_of_its_own_in_a_namespace_of_its_own(namespace):
    with kube.new_namespace() as theirs:
        team = Release(theirs, name="team")
        team.upgrade({**EXAMPLE, "userCodeOnly": True})
        assert not theirs.objects("statefulsets")
        release = Release(namespace)
        server = {"name": "weather", "host": f"weather.{theirs.name}", "port": 3030}
        release.upgrade({"image": EXAMPLE["image"], "workspace": {"servers": [server]}})
        namespace.helm("test", release.name)
        assert release.follow(release.launch(key="code of another release"))[0] == "SUCCESS"
        (pod,) = namespace.objects("pods", "component=run-worker")
        image = EXAMPLE["userDeployments"][0]["image"]
        assert pod["spec"]["containers"][0]["image"] == f"{image['repository']}:{image['tag']}"


def test_stores_of_another_release_are_external_ones(namespace):
    none = {"replicaCount": 0}
    services = {"dagit": none, "scheduler": none, "launcher": none, "eventstore": none}
    stores = {**services, "migrate": {"enabled": False}, "networkPolicy": {"enabled": False}}
    Release(namespace, name="stores").upgrade({"image": EXAMPLE["image"], **stores})
    release = Release(namespace)
    nats = {
        "enabled": False,
        "url": f"nats://stores-dagwire-nats.{namespace.name}:4222",
        "auth": {"existingSecret": "stores-dagwire-nats"},
    }
    postgresql = {
        "enabled": False,
        "host": "stores-dagwire-postgresql",
        "auth": {"existingSecret": "stores-dagwire-postgresql"},
    }
    release.upgrade({**EXAMPLE, "nats": nats, "postgresql": postgresql})
    namespace.helm("test", release.name)
    assert release.follow(release.launch(key="external"))[0] == "SUCCESS"


def test_values_of_dagsters_chart_install_and_run(namespace):
    image = {"repository": "docker.io/dagster/dagster-celery-k8s", "tag": None, "pullPolicy": "Always"}
    code = {**EXAMPLE["userDeployments"][0], "env": {"REGION": "north"}, "port": 3030}
    launcher = {"loadInclusterConfig": True, "envVars": ["A=b"], "imagePullPolicy": "IfNotPresent"}
    values = {
        "image": EXAMPLE["image"],
        "dagsterWebserver": {"image": image, "readinessProbe": {"httpGet": {"path": "/server_info", "port": 80}}},
        "dagster-user-deployments": {"enabled": True, "enableSubchart": True, "deployments": [code]},
        "runLauncher": {"type": "K8sRunLauncher", "config": {"k8sRunLauncher": launcher}},
        "postgresql": {"enabled": True, "postgresqlUsername": "test", "postgresqlPassword": "te/st@ 1"},
        "generatePostgresqlPasswordSecret": True,
        "dagsterDaemon": {"enabled": True, "image": image, "heartbeatTolerance": 300},
    }
    release = Release(namespace)
    release.upgrade(values)
    namespace.helm("test", release.name)
    assert release.follow(release.launch(key="from dagster"))[0] == "SUCCESS"
    (pod,) = namespace.objects("pods", "component=run-worker")
    env = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
    assert (env["A"], env["REGION"]) == ("b", "north")
