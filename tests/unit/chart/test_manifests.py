"""All objects together: valid for every Kubernetes version that is supported, well named, and as they were."""

import functools
import json
import os
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from support.chart import CASES, CHART, WEATHER, render, stable

GOLDEN = Path(__file__).parents[2] / "golden" / "chart" / "default.yaml"
OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()


@functools.cache
def _is_valid(content: str, version: str) -> bool:
    kubernetes_validate.validate(json.loads(content), version, strict=True)
    return True


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("case", CASES)
def test_every_object_is_valid(case, version):
    for one in render(CASES[case], "--kube-version", version).objects:
        assert _is_valid(json.dumps(one, sort_keys=True), version)


def test_the_oldest_supported_version_is_the_one_that_is_tested():
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={OLDEST}.0-0"


def test_the_default_release_is_as_it_was():
    """A change is looked at: `GOLDEN=write pytest tests/unit/chart` writes the file, and the diff shows the rest."""
    found = stable({"userDeployments": [WEATHER]})
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


@pytest.mark.parametrize("case", CASES)
def test_no_object_is_rendered_twice(case):
    found = [
        (one["kind"], one["metadata"]["name"], one["metadata"]["namespace"]) for one in render(CASES[case]).objects
    ]
    assert len(set(found)) == len(found)


def test_names_stay_valid_for_a_long_release_name():
    values = {"userDeployments": [{**WEATHER, "name": "c" * 50}], "nats": {"replicaCount": 3}}
    for one in render(values, release="r" * 53).objects:
        limit = 63 if one["kind"] in {"Service", "Job", "StatefulSet"} else 253
        assert len(one["metadata"]["name"]) <= limit
        for value in one["metadata"]["labels"].values():
            assert len(value) <= 63


def test_the_chart_and_the_images_have_the_version_of_the_workspace():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (CHART.parents[2] / "pyproject.toml").read_text()
    assert f'version = "{chart["version"]}"' in project
    assert chart["version"] == chart["appVersion"]
    assert render({}).container("dagit").image == f"dagwire/dagwire:{chart['appVersion']}"


def test_extra_manifests_may_be_maps_or_texts_and_hold_templates():
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-text', namespace: a}"
    mapping = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{{ .Release.Name }}-map", "namespace": "a"}}
    for manifests in ([text, mapping], {"one": text, "two": mapping}):
        rendering = render({"extraManifests": manifests})
        assert "dagwire-text" in rendering.names("ConfigMap")
        assert "dagwire-map" in rendering.names("Secret")


def test_whatever_has_no_value_of_its_own_is_merged_in():
    merge = {
        "deployment": {"spec": {"revisionHistoryLimit": 3}},
        "pod": {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}]},
        "container": {"workingDir": "/srv"},
        "service": {"spec": {"externalTrafficPolicy": "Local"}},
        "serviceAccount": {"automountServiceAccountToken": True},
        "pdb": {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}},
        "hpa": {"spec": {"behavior": {"scaleDown": {"policies": []}}}},
        "networkPolicy": {"spec": {"policyTypes": ["Ingress"]}},
    }
    rendering = render({"dagit": {"merge": merge, "autoscaling": {"enabled": True}}})
    assert rendering.get("Deployment", "dagwire-dagit").spec.revision_history_limit == 3
    assert rendering.pod("dagit").host_aliases[0].ip == "10.0.0.1"
    assert rendering.container("dagit").working_dir == "/srv"
    assert rendering.get("Service", "dagwire-dagit").spec.external_traffic_policy == "Local"
    assert rendering.get("ServiceAccount", "dagwire-dagit").automount_service_account_token is True
    budget = rendering.get("PodDisruptionBudget", "dagwire-dagit").spec
    assert budget.unhealthy_pod_eviction_policy == "AlwaysAllow"
    assert rendering.get("HorizontalPodAutoscaler", "dagwire-dagit").spec.behavior.scale_down.policies == []
    assert rendering.get("NetworkPolicy", "dagwire-dagit").spec.policy_types == ["Ingress"]
    assert rendering.get("Deployment", "dagwire-scheduler").spec.revision_history_limit is None


def test_stateful_sets_jobs_and_the_role_are_merged_too():
    rendering = render(
        {
            "nats": {"merge": {"statefulSet": {"spec": {"minReadySeconds": 4}}}},
            "migrate": {"merge": {"job": {"spec": {"ttlSecondsAfterFinished": 5}}}},
            "launcher": {"merge": {"role": {"rules": []}}},
        }
    )
    assert rendering.get("StatefulSet", "dagwire-nats").spec.min_ready_seconds == 4
    assert rendering.get("Job", "dagwire-migrate").spec.ttl_seconds_after_finished == 5
    assert rendering.get("Role", "dagwire-launcher").rules == []
