"""A release with the chart's own values: what the cluster says of its objects, who reaches whom, and what stays."""

import json
import time

import pytest
import yaml
from support import chart
from support.kube import CommandFailedError
from support.probing import reachable
from support.release import CHART, EXAMPLE, Release

pytestmark = pytest.mark.xdist_group("chart")

NATS, MONITOR, POSTGRESQL = "dagwire-nats:4222", "dagwire-nats-headless:8222", "dagwire-postgresql:5432"
DAGIT, CODE = "dagwire-dagit:80", "weather:3030"
EVERYWHERE = {NATS, MONITOR, POSTGRESQL, DAGIT, CODE}
SECONDS = 60.0
OUTSIDE_THE_API = {"HTTPRoute", "Gateway"}


@pytest.fixture(scope="module")
def release(module_namespace):
    release = Release(module_namespace)
    release.upgrade(EXAMPLE)
    return release


@pytest.mark.parametrize("case", chart.CASES)
def test_the_api_server_accepts_every_object(module_namespace, case):
    rendering = chart.render(chart.CASES[case])
    for one in rendering.objects:
        one["metadata"]["namespace"] = module_namespace.name
    objects = [one for one in rendering.objects if one["kind"] not in OUTSIDE_THE_API]
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    said = module_namespace.kubectl("apply", "--dry-run=server", "-f", "-", input_text=content)
    assert len(said.splitlines()) == len(objects)


def test_keys_of_dagsters_chart_that_are_ignored_are_told_after_the_installation(release):
    values = {"telemetry": {"enabled": True}, "dagsterDaemon": {"heartbeatTolerance": 300}, "rbacEnabled": True}
    notes = release.upgrade({**EXAMPLE, **values}, "--dry-run=server")
    assert "Ignored keys of Dagster's chart:" in notes
    assert "  - telemetry: " in notes
    assert "  - dagsterDaemon.heartbeatTolerance: " in notes
    assert "rbacEnabled" not in notes.partition("NOTES:")[2]


def test_every_pod_is_ready_and_none_was_restarted(release):
    for pod in release.namespace.objects("pods", f"app.kubernetes.io/instance={release.name}"):
        for container in pod["status"]["containerStatuses"]:
            assert (container["ready"], container["restartCount"]) == (True, 0), container


@pytest.mark.parametrize(
    ("component", "reaches"),
    [
        ("run-worker", {NATS}),
        ("step-worker", {NATS}),
        ("user-code", set()),
        ("dagit", {NATS, POSTGRESQL, CODE}),
        ("scheduler", {NATS, CODE}),
        ("launcher", {NATS}),
        ("eventstore", {NATS, POSTGRESQL}),
        ("migrate", {POSTGRESQL}),
        ("test", {DAGIT}),
        ("stranger", {DAGIT}),
    ],
)
def test_a_pod_reaches_what_it_needs_and_nothing_else_of_the_release(release, component, reaches):
    assert reachable(release.namespace, component, sorted(EVERYWHERE)) == reaches


def test_a_pod_of_another_release_reaches_nothing_but_dagit(release):
    assert reachable(release.namespace, "eventstore", sorted(EVERYWHERE), instance="other") == {DAGIT}


def wait_until_weather_is(release, status):
    """Dagit looks away from the old server when that ends, some seconds after the new one is ready."""
    deadline = time.monotonic() + SECONDS
    while (found := release.ask("GET", "/locations")[0]["status"]) != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def test_helm_test_names_the_code_location_that_does_not_load(release):
    broken = {**EXAMPLE["userDeployments"][0], "dagsterApiGrpcArgs": ["-f", "/app/missing.py"]}
    release.upgrade({**EXAMPLE, "userDeployments": [broken], "test": {"timeoutSeconds": 3}})
    wait_until_weather_is(release, "FAILED")
    with pytest.raises(CommandFailedError):
        release.namespace.helm("test", release.name)
    logs = release.namespace.kubectl("logs", "dagwire-test")
    assert "weather: FAILED" in logs
    assert "missing.py" in logs
    release.upgrade(EXAMPLE)
    wait_until_weather_is(release, "LOADED")
    release.namespace.helm("test", release.name)


def test_a_location_is_never_without_a_server_while_its_code_is_replaced(release):
    def servers():
        pods = release.namespace.objects("pods", "component=user-code,app.kubernetes.io/managed-by=Helm")
        return {pod["metadata"]["name"] for pod in pods}

    before = servers()
    changed = {**EXAMPLE["userDeployments"][0], "labels": {"changed": "yes"}}
    content = yaml.safe_dump({**EXAMPLE, "userDeployments": [changed]})
    release.namespace.helm("upgrade", release.name, str(CHART), "-f", "-", input_text=content)
    deadline = time.monotonic() + SECONDS
    while before & servers():
        assert ready_endpoints(release.namespace, "weather"), "no code server is ready"
        assert time.monotonic() < deadline, servers()
    release.ask("POST", "/jobs/weather/weather/weather_report/validate", json={})


def ready_endpoints(namespace, service):
    slices = namespace.objects("endpointslices", f"kubernetes.io/service-name={service}")
    return [address for one in slices for address in one["endpoints"] or [] if address["conditions"]["ready"]]


def test_what_was_is_still_there_after_uninstalling_and_installing_again(release):
    before = release.launch(key="before")
    assert release.follow(before)[0] == "SUCCESS"
    (schedule,) = release.ask("GET", "/schedules")
    switched = "STOPPED" if schedule["status"] == "RUNNING" else "RUNNING"
    path = f"/schedules/weather/weather/{schedule['name']}"
    release.ask("POST", f"{path}/{'stop' if switched == 'STOPPED' else 'start'}", json={})
    release.namespace.helm("uninstall", release.name, "--wait")
    release.namespace.wait("delete", "pods", "-l", "component in (nats, postgresql)", seconds=SECONDS)
    kept = {one["metadata"]["name"] for one in release.namespace.objects("persistentvolumeclaims")}
    assert kept == {"data-dagwire-nats-0", "data-dagwire-postgresql-0"}
    release.upgrade(EXAMPLE)
    assert release.ask("GET", f"/runs/{before}")["status"] == "SUCCESS"
    assert release.ask("GET", "/schedules")[0]["status"] == switched
    assert release.launch(key="before") == before
    assert release.follow(release.launch(key="after"))[0] == "SUCCESS"
