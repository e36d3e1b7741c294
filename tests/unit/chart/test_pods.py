"""Every pod: Pod Security "restricted", no rights in the cluster, probes, and the settings that components take."""

import pytest
from support.chart import CASES, WEATHER, render

SERVICES = ["dagit", "scheduler", "launcher", "eventstore"]
COMPONENTS = [*SERVICES, "migrate", "nats", "postgresql", "test"]
CODE = {"userDeployments": [WEATHER]}


def containers_of(pod):
    return [*(pod.init_containers or []), *pod.containers]


@pytest.mark.parametrize("case", CASES)
def test_every_pod_satisfies_pod_security_restricted(case):
    for component, template in render({**CODE, **CASES[case]}).pods:
        pod = template.spec
        assert {pod.host_network, pod.host_pid, pod.host_ipc} <= {None, False}, component
        assert pod.security_context.run_as_non_root is True, component
        assert pod.security_context.run_as_user != 0, component
        assert pod.security_context.seccomp_profile.type == "RuntimeDefault", component
        allowed = {"config_map", "secret", "empty_dir", "persistent_volume_claim", "projected", "downward_api", "csi"}
        for volume in pod.volumes:
            kinds = {kind for kind, value in volume.to_dict().items() if value is not None and kind != "name"}
            assert kinds <= allowed, (component, volume.name)
        for container in containers_of(pod):
            context = container.security_context
            assert context.allow_privilege_escalation is False, (component, container.name)
            assert context.capabilities.drop == ["ALL"], (component, container.name)
            assert not context.capabilities.add, (component, container.name)
            assert not context.privileged, (component, container.name)


def test_every_container_of_ours_has_a_read_only_root_and_a_writable_tmp():
    for component, template in render(CODE).pods:
        for container in containers_of(template.spec):
            assert container.security_context.read_only_root_filesystem is True, component
            assert "/tmp" in {mount.mount_path for mount in container.volume_mounts}, component


def test_only_the_launcher_gets_a_token_of_the_cluster():
    for component, template in render(CODE).pods:
        assert template.spec.automount_service_account_token is (component == "launcher"), component


def test_no_pod_gets_the_addresses_of_services_as_variables():
    """A Service named dagwire-dagit would set DAGWIRE_DAGIT_PORT."""
    for component, template in render(CODE).pods:
        assert template.spec.enable_service_links is False, component


def test_every_part_has_a_service_account_of_its_own():
    rendering = render(CODE)
    accounts = {component: template.spec.service_account_name for component, template in rendering.pods}
    assert accounts.pop("test") == "default"
    assert len(set(accounts.values())) == len(accounts)
    assert set(accounts.values()) | {"dagwire-run"} == rendering.names("ServiceAccount")
    for name in rendering.names("ServiceAccount"):
        assert rendering.get("ServiceAccount", name).automount_service_account_token is False


def test_an_account_of_yours_is_used_and_not_made():
    rendering = render({**CODE, "global": {"serviceAccountName": "ours"}})
    assert rendering.names("ServiceAccount") == set()
    assert {template.spec.service_account_name for _, template in rendering.pods} == {"ours"}
    rendering = render({"launcher": {"serviceAccount": {"name": "robot"}}})
    assert rendering.pod("launcher").service_account_name == "robot"
    assert rendering.get("RoleBinding", "dagwire-launcher").subjects[0].name == "robot"
    assert "dagwire-launcher" not in rendering.names("ServiceAccount")


def test_the_launchers_rights_are_the_least_and_nobody_else_has_any():
    rendering = render(CODE)
    assert rendering.names("Role") == rendering.names("RoleBinding") == {"dagwire-launcher"}
    rules = rendering.get("Role", "dagwire-launcher").rules
    assert {(rule.api_groups[0], rule.resources[0]): rule.verbs for rule in rules} == {
        ("batch", "jobs"): ["create", "get", "list", "watch", "delete"],
        ("", "pods"): ["get", "list", "watch", "delete"],
        ("", "pods/log"): ["get"],
        ("", "events"): ["list", "watch"],
    }
    assert all(len(rule.resources) == len(rule.api_groups) == 1 for rule in rules)
    assert not [one for one in rendering.objects if one["kind"].startswith("Cluster")]


def test_the_launchers_rights_are_in_the_namespace_of_the_runs():
    rendering = render({"runs": {"namespace": "runs"}})
    for kind in ("Role", "RoleBinding"):
        assert rendering.get(kind, "dagwire-launcher").metadata.namespace == "runs"
    assert rendering.get("RoleBinding", "dagwire-launcher").subjects[0].namespace == "data"
    assert rendering.get("ServiceAccount", "dagwire-run").metadata.namespace == "runs"
    assert rendering.env("launcher")["DAGWIRE_LAUNCHER_NAMESPACE"] == "runs"


def test_no_container_has_a_cpu_limit_and_every_one_of_ours_asks_for_something():
    for component, template in render({}).pods:
        for container in containers_of(template.spec):
            if component != "test":
                assert container.resources.requests.keys() == {"cpu", "memory"}, component
                assert container.resources.limits.keys() == {"memory"}, component


@pytest.mark.parametrize("component", SERVICES)
def test_a_service_is_alive_when_it_answers_and_ready_when_it_has_what_it_needs(component):
    container = render({}).container(component)
    port = "http" if component == "dagit" else "health"
    for probe, path in (("startup", "/healthz"), ("readiness", "/readyz"), ("liveness", "/healthz")):
        check = getattr(container, f"{probe}_probe").http_get
        assert (check.path, check.port) == (path, port)
        hosts = [header.value for header in check.http_headers or [] if header.name == "Host"]
        assert hosts == (["localhost"] if component == "dagit" else [])
    assert port in {one.name for one in container.ports}


def test_a_probe_is_tuned_replaced_or_removed():
    probes = {
        "startupProbe": {"enabled": False},
        "readinessProbe": {"periodSeconds": 33},
        "livenessProbe": {"exec": {"command": ["true"]}},
    }
    container = render({"dagit": probes}).container("dagit")
    assert container.startup_probe is None
    assert container.readiness_probe.period_seconds == 33
    assert container.readiness_probe.http_get.path == "/readyz"
    assert container.liveness_probe.http_get is None
    assert container.liveness_probe._exec.command == ["true"]


SETTINGS = {
    "env": {"NUMBER": 1000000, "FLAG": True, "SOURCE": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}},
    "envFrom": [{"configMapRef": {"name": "from"}}],
    "envConfigMaps": ["maps"],
    "envSecrets": [{"name": "secrets", "optional": True}],
    "resources": {"requests": {"cpu": "3"}},
    "annotations": {"note": "yes"},
    "labels": {"team": "data", "component": "mine"},
    "nodeSelector": {"disk": "ssd"},
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "priorityClassName": "high",
    "schedulerName": "other",
    "runtimeClassName": "gvisor",
    "terminationGracePeriodSeconds": 77,
    "podSecurityContext": {"runAsUser": 4242},
    "securityContext": {"runAsGroup": 4343},
    "volumes": [{"name": "mine", "emptyDir": {}}],
    "volumeMounts": [{"name": "mine", "mountPath": "/mine"}],
    "initContainers": [{"name": "first", "image": "first"}],
    "sidecarContainers": [{"name": "side", "image": "side"}],
    "serviceAccount": {"annotations": {"role": "arn"}},
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "startupProbe": {"timeoutSeconds": 21},
    "readinessProbe": {"timeoutSeconds": 22},
    "livenessProbe": {"timeoutSeconds": 23},
    "merge": {"pod": {"hostname": "merged"}, "container": {"workingDir": "/merged"}},
}


def assert_settings(template, *, probes):
    pod, main = template.spec, template.spec.containers[0]
    variables = {one.name: one for one in main.env}
    assert variables["NUMBER"].value == "1000000"
    assert variables["FLAG"].value == "true"
    assert variables["SOURCE"].value_from.secret_key_ref.key == "k"
    assert [(one.config_map_ref or one.secret_ref).name for one in main.env_from] == ["from", "maps", "secrets"]
    assert main.env_from[2].secret_ref.optional is True
    assert main.resources.requests["cpu"] == "3"
    assert (pod.node_selector, pod.priority_class_name) == ({"disk": "ssd"}, "high")
    assert pod.affinity.node_affinity is not None
    assert (pod.tolerations[0].key, pod.scheduler_name, pod.runtime_class_name) == ("gpu", "other", "gvisor")
    assert pod.termination_grace_period_seconds == 77
    assert (pod.security_context.run_as_user, pod.security_context.run_as_non_root) == (4242, True)
    assert (main.security_context.run_as_group, main.security_context.allow_privilege_escalation) == (4343, False)
    assert "mine" in {volume.name for volume in pod.volumes}
    assert "/mine" in {mount.mount_path for mount in main.volume_mounts}
    assert pod.init_containers[-1].name == "first"
    assert [container.name for container in pod.containers][1:] == ["side"]
    (spread,) = pod.topology_spread_constraints
    assert spread.topology_key == "zone"
    assert spread.label_selector.match_labels["component"] == template.metadata.labels["component"]
    if probes:
        found = [main.startup_probe, main.readiness_probe, main.liveness_probe]
        assert [probe.timeout_seconds for probe in found] == [21, 22, 23]
    assert (pod.hostname, main.working_dir) == ("merged", "/merged")


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_takes_every_pod_setting(component):
    rendering = render({component: SETTINGS})
    template = dict(rendering.pods)[component]
    assert_settings(template, probes=component not in {"migrate", "test"})
    if component != "test":
        assert template.metadata.annotations["note"] == "yes"
        assert template.metadata.labels["team"] == "data"
        name = template.spec.service_account_name
        assert rendering.get("ServiceAccount", name).metadata.annotations == {"role": "arn"}
    assert template.metadata.labels["component"] == component
    for other, untouched in rendering.pods:
        if other != component:
            assert untouched.spec.scheduler_name is None


def test_a_code_server_takes_every_pod_setting():
    rendering = render({"userDeployments": [{**WEATHER, **SETTINGS}]})
    assert_settings(dict(rendering.pods)["user-code"], probes=True)


def test_common_settings_reach_every_pod_and_a_components_own_win():
    values = {
        "common": {"env": {"A": 1, "B": 2}, "nodeSelector": {"disk": "ssd"}, "priorityClassName": "high"},
        "dagit": {"env": [{"name": "B", "value": "3"}], "priorityClassName": "low"},
    }
    rendering = render({**CODE, **values})
    for component, template in rendering.pods:
        assert template.spec.node_selector == {"disk": "ssd"}
        assert template.spec.priority_class_name == ("low" if component == "dagit" else "high")
        assert rendering.env(component)["A"] == "1"
        assert rendering.env(component)["B"] == ("3" if component == "dagit" else "2")


def test_a_variable_of_yours_replaces_the_charts_and_stands_in_its_place():
    container = render({"dagit": {"env": {"DATABASE_PORT": 6432}}}).container("dagit")
    names = [one.name for one in container.env]
    assert names.count("DATABASE_PORT") == 1
    assert names.index("DATABASE_PORT") < names.index("DAGWIRE_DAGIT_DATABASE_URL")


def test_pods_are_spread_over_nodes_unless_there_is_one():
    for component, template in render(CODE).pods:
        (spread,) = template.spec.topology_spread_constraints
        assert (spread.topology_key, spread.when_unsatisfiable) == ("kubernetes.io/hostname", "ScheduleAnyway")
        assert spread.label_selector.match_labels["component"] == component


@pytest.mark.parametrize("component", [*SERVICES, "nats", "weather"])
def test_a_disruption_budget_lets_one_pod_go_at_a_time(component):
    budget = render(CODE).get("PodDisruptionBudget", f"dagwire-{component}").spec
    assert (budget.max_unavailable, budget.min_available) == (1, None)


def test_a_disruption_budget_is_changed_or_left_out():
    values = {"dagit": {"pdb": {"minAvailable": "50%"}}, "scheduler": {"pdb": {"enabled": False}}}
    rendering = render(values)
    budget = rendering.get("PodDisruptionBudget", "dagwire-dagit").spec
    assert (budget.max_unavailable, budget.min_available) == (None, "50%")
    assert "dagwire-scheduler" not in rendering.names("PodDisruptionBudget")


def test_pull_secrets_of_the_release_the_umbrella_and_one_part_come_together():
    values = {
        "imagePullSecrets": ["one"],
        "global": {"imagePullSecrets": [{"name": "two"}]},
        "userDeployments": [{**WEATHER, "imagePullSecrets": ["three", "one"]}],
    }
    rendering = render(values)
    assert [one.name for one in rendering.pod("dagit").image_pull_secrets] == ["one", "two"]
    assert [one.name for one in rendering.pod("user-code").image_pull_secrets] == ["one", "two", "three"]
    assert rendering.data("dagwire-runs", "runs.yaml")["kubernetes"]["default"]["imagePullSecrets"] == [
        {"name": "one"},
        {"name": "two"},
    ]


def test_an_image_has_registry_repository_and_tag_or_digest():
    digest = "sha256:" + "1" * 64
    values = {
        "image": {"registry": "r.example.org", "digest": digest},
        "scheduler": {"image": {"repository": "mine", "tag": "2"}},
        "nats": {"image": {"registry": "mirror"}},
    }
    rendering = render(values)
    assert rendering.container("dagit").image == f"r.example.org/dagwire/dagwire@{digest}"
    assert rendering.container("scheduler").image == "r.example.org/mine:2"
    assert rendering.container("nats").image.startswith("mirror/nats:")
    assert rendering.pod("nats").init_containers[0].image == f"r.example.org/dagwire/dagwire@{digest}"


def test_replicas_are_the_autoscalers_if_there_is_one():
    spec = render({"dagit": {"replicaCount": 4}}).get("Deployment", "dagwire-dagit").spec
    assert spec.replicas == 4
    rendering = render({"dagit": {"replicaCount": 4, "autoscaling": {"enabled": True, "maxReplicas": 9}}})
    assert rendering.get("Deployment", "dagwire-dagit").spec.replicas is None
    scaler = rendering.get("HorizontalPodAutoscaler", "dagwire-dagit").spec
    assert (scaler.min_replicas, scaler.max_replicas, scaler.scale_target_ref.name) == (2, 9, "dagwire-dagit")
    assert scaler.metrics[0].resource.target.average_utilization == 80
