"""Code servers: what they serve, how they are replaced, what their runs get, and releases of their own."""

import json

import pytest
from support.chart import WEATHER, RefusedError, render, text


def deployment(entry):
    return render({"userDeployments": [{**WEATHER, **entry}]}).get("Deployment", "dagwire-weather")


def layer(entry):
    """What the runs of the code location get."""
    rendering = render({"userDeployments": [{**WEATHER, **entry}]})
    return rendering.data("dagwire-runs", "runs.yaml")["kubernetes"]["locations"].get("weather", {})


def test_a_code_server_serves_its_code_under_its_name():
    container = deployment({"port": 4040}).spec.template.spec.containers[0]
    assert container.command == ["dagwire", "api", "grpc", "-h", "0.0.0.0", "-p", "4040", "-f", "repo.py"]  # noqa: S104
    env = {one.name: one.value for one in container.env}
    assert env["DAGWIRE_CURRENT_IMAGE"] == container.image == "example/weather:1.0"
    assert env["DAGWIRE_LOCATION_NAME"] == "weather"
    assert [container.ports[0].container_port, container.readiness_probe.grpc.port] == [4040, 4040]


def test_code_that_changes_in_place_is_loaded_again():
    entry = {"dagsterApiGrpcArgs": [], "codeServerArgs": ["-m", "package.module"]}
    command = deployment(entry).spec.template.spec.containers[0].command
    assert command[-3:] == ["--watch", "-m", "package.module"]


def test_its_service_has_its_name():
    rendering = render({"userDeployments": [{**WEATHER, "service": {"annotations": {"a": "b"}}}]})
    service = rendering.get("Service", "weather")
    assert service.spec.ports[0].port == 3030
    assert service.spec.selector["dagwire/code-location"] == "weather"
    assert service.metadata.annotations == {"a": "b"}


def test_a_location_is_never_without_a_server():
    found = deployment({"replicaCount": 2})
    assert found.spec.replicas == 2
    update = found.spec.strategy.rolling_update
    assert (update.max_unavailable, update.max_surge) == (0, 1)
    container = found.spec.template.spec.containers[0]
    assert container.readiness_probe.grpc.port == 3030
    assert container.lifecycle.pre_stop.sleep.seconds == 5


def annotations(entries, name):
    found = render({"userDeployments": entries}).get("Deployment", f"dagwire-{name}")
    return found.spec.template.metadata.annotations


def test_any_change_of_an_entry_replaces_its_pods_and_no_others():
    both = [WEATHER, {**WEATHER, "name": "other"}]
    changed = [WEATHER, {**WEATHER, "name": "other", "runConfig": {"image": "x"}}]
    notes = [{name: annotations(entries, name) for name in ("weather", "other")} for entries in (both, changed)]
    assert notes[0]["weather"] == notes[1]["weather"]
    assert notes[0]["other"] != notes[1]["other"]


def test_entries_may_be_keyed_by_name():
    entry = {key: value for key, value in WEATHER.items() if key != "name"}
    by_name = render({"userDeployments": {"weather": entry}})
    assert by_name.get("Deployment", "dagwire-weather") == deployment({})


def test_what_an_entry_does_not_say_stands_in_the_defaults():
    values = {"userDeploymentDefaults": {"port": 5050, "resources": {"requests": {"cpu": "2"}}}}
    rendering = render({**values, "userDeployments": [WEATHER, {**WEATHER, "name": "other", "port": 6060}]})
    assert rendering.get("Service", "weather").spec.ports[0].port == 5050
    assert rendering.get("Service", "other").spec.ports[0].port == 6060
    assert rendering.container("user-code").resources.requests == {"cpu": "2"}


def test_runs_get_the_configuration_of_their_code_server_and_not_of_others():
    entry = {
        "env": {"DB": "x", "PASSWORD": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}},
        "envSecrets": ["aws"],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "labels": {"team": "data"},
        "imagePullSecrets": ["registry"],
        "serviceAccount": {"name": "robot"},
        "image": {**WEATHER["image"], "pullPolicy": "Always"},
    }
    found = layer(entry)
    assert [one["name"] for one in found["env"]] == ["DB", "PASSWORD"]
    assert found["envFrom"] == [{"secretRef": {"name": "aws"}}]
    assert found["volumes"] == entry["volumes"]
    assert found["volumeMounts"] == entry["volumeMounts"]
    assert (found["labels"], found["serviceAccountName"]) == ({"team": "data"}, "robot")
    assert (found["imagePullSecrets"], found["imagePullPolicy"]) == (["registry"], "Always")
    both = render({"userDeployments": [{**WEATHER, **entry}, {**WEATHER, "name": "other"}]})
    assert both.data("dagwire-runs", "runs.yaml")["kubernetes"]["locations"]["other"] == {
        "imagePullPolicy": "IfNotPresent"
    }


def test_runs_get_nothing_where_that_is_not_wanted():
    entry = {"env": {"DB": "x"}, "envSecrets": ["aws"], "includeConfigInLaunchedRuns": {"enabled": False}}
    assert layer(entry) == {"imagePullPolicy": "IfNotPresent"}


def test_an_entrys_own_layer_and_the_operators_win():
    values = {
        "userDeployments": [{**WEATHER, "labels": {"a": "entry"}, "runConfig": {"labels": {"a": "layer"}}}],
        "runs": {"locations": {"weather": {"nodeSelector": {"disk": "ssd"}}}},
    }
    found = render(values).data("dagwire-runs", "runs.yaml")["kubernetes"]["locations"]["weather"]
    assert found["labels"] == {"a": "layer"}
    assert found["nodeSelector"] == {"disk": "ssd"}


def test_a_name_that_could_be_one_of_the_releases_own_is_refused():
    with pytest.raises(RefusedError, match="do not begin it with dagwire-"):
        text({"userDeployments": [{**WEATHER, "name": "dagwire-nats"}]})


def test_a_release_of_user_code_alone_has_nothing_else_and_hands_its_configuration_on():
    values = {"userCodeOnly": True, "userDeployments": [{**WEATHER, "labels": {"team": "data"}}]}
    rendering = render(values, release="teams")
    kinds = {one["kind"] for one in rendering.objects}
    assert kinds == {"Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"}
    assert {one["metadata"]["labels"]["component"] for one in rendering.objects} == {"user-code"}
    context = json.loads(rendering.env("user-code")["DAGWIRE_CONTAINER_CONTEXT"])
    assert context["k8s"]["labels"] == {"team": "data"}


def test_its_servers_are_reached_by_dagit_and_scheduler_of_another_release():
    values = {"userCodeOnly": True, "userDeployments": [WEATHER]}
    (peer,) = render(values, release="teams").get("NetworkPolicy", "teams-dagwire-user-code").spec.ingress[0]._from
    assert peer.namespace_selector.to_dict() == {"match_expressions": None, "match_labels": None}
    assert peer.pod_selector.match_labels == {"app.kubernetes.io/part-of": "dagwire"}
    assert peer.pod_selector.match_expressions[0].values == ["dagit", "scheduler"]


def test_a_release_of_user_code_alone_needs_some():
    with pytest.raises(RefusedError, match="userDeployments: list at least one"):
        text({"userCodeOnly": True})
