"""values.yaml: every value has an effect, a comment and a place in the schema, and the schema refuses all else."""

import copy
import re

import pytest
import yaml
from support.chart import CHART, WEATHER, RefusedError, stable, text

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
BASE = {
    "userDeployments": [{**WEATHER, "serviceAccount": {"name": "code"}}],
    "httpRoute": {"enabled": True, "gateway": {"create": True, "className": "gw", "tlsSecret": "tls"}},
    "ingress": {"enabled": True, "hosts": [{"host": "dagit.example.org"}]},
    "dagit": {"autoscaling": {"enabled": True}},
    "nats": {"replicaCount": 3},
    "postgresql": {"tls": {"caSecret": "ca"}},
    "workspace": {"servers": [{"host": "code.other", "port": 4040}]},
}
"""Values under which as much as possible matters."""
EXTERNAL = {
    "nats": {"enabled": False, "url": "nats://bus.example.org", "auth": {"existingSecret": "bus", "callout": False}},
    "postgresql": {"enabled": False, "host": "db.example.org", "auth": {"existingSecret": "db"}},
}

OBJECT, TEXT, NAMED = {"a": "b"}, "other", [{"name": "other"}]
OTHER_BASES = {
    "userCodeOnly": {"userDeployments": [WEATHER]},
    "dagit.replicaCount": {},
    "dagit.service.nodePort": {"dagit": {"service": {"type": "NodePort"}}},
    "dagit.autoscaling.enabled": {},
    "postgresql.tls.caSecret": EXTERNAL,
    "postgresql.enabled": {**EXTERNAL, "postgresql": {**EXTERNAL["postgresql"], "enabled": True}},
    "postgresql.host": EXTERNAL,
    "postgresql.auth.keys.route": EXTERNAL,
    "nats.enabled": {**EXTERNAL, "nats": {**EXTERNAL["nats"], "enabled": True}},
    "nats.url": EXTERNAL,
    "nats.auth.callout": EXTERNAL,
    "nats.auth.keys.worker": EXTERNAL,
    "nats.auth.users.worker": EXTERNAL,
    "httpRoute.gateway.tlsSecret": {"httpRoute": {"enabled": True, "gateway": {"create": True}}},
    "httpRoute.enabled": {},
    "ingress.enabled": {},
}
"""The values around one, where it has an effect only under others than `BASE`."""
CHANGES = {
    "common.annotations": OBJECT,
    "common.env": {"NAME": "value"},
    "common.envConfigMaps": ["other"],
    "common.envSecrets": ["other"],
    "common.envFrom": [{"secretRef": {"name": "other"}}],
    "common.merge": {"pod": {"hostname": "other"}},
    "common.pdb.maxUnavailable": 2,
    "common.pdb.minAvailable": 1,
    "common.resources": {"requests": {"cpu": "2"}},
    "common.securityContext.capabilities.drop": ["NET_RAW"],
    "common.strategy": {"type": "RollingUpdate"},
    "common.terminationGracePeriodSeconds": 7,
    "common.topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}],
    "dagit.allowedHosts": ["other"],
    "dagit.autoscaling.metrics": [{"type": "Resource"}],
    "dagit.service.nodePort": 30000,
    "dagit.service.type": "LoadBalancer",
    "eventstore.partitions": 2,
    "extraManifests": [{"kind": "Other"}],
    "global": {"imageRegistry": "registry.example.org"},
    "httpRoute.filters": [{"type": "URLRewrite"}],
    "httpRoute.gateway.create": False,
    "httpRoute.hostnames": ["other.example.org"],
    "image.digest": "sha256:" + "0" * 64,
    "ingress.hosts": [{"host": "other.example.org"}],
    "ingress.tls": [{"secretName": "other"}],
    "logFormat": "text",
    "logLevel": "DEBUG",
    "nats.auth.callout": True,
    "nats.config": "max_connections: 7",
    "nats.replicaCount": 1,
    "nats.streamReplicas": 1,
    "nats.url": "nats://other.example.org",
    "networkPolicy.dagitFrom": [{"podSelector": {}}],
    "networkPolicy.kubernetesApi.cidr": "10.0.0.1/32",
    "networkPolicy.monitorFrom": [{"podSelector": {}}],
    "networkPolicy.natsFrom": [{"podSelector": {}}],
    "networkPolicy.runEgress": [],
    "networkPolicy.userCodeEgress": [],
    "postgresql.arguments": ["-c", "max_connections=7"],
    "nats.enabled": False,
    "postgresql.enabled": False,
    "runs.allow": "*",
    "runs.default": {"image": "other"},
    "runs.launchesAtOnce": 7,
    "runs.locations": {"weather": {"image": "other"}},
    "userDeploymentDefaults.resources": {"requests": {"cpu": "2"}},
    "userDeployments": [{**WEATHER, "name": "other"}],
    "workspace.servers": [],
}


def leaves(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


LEAVES = {".".join(path): value for path, value in leaves(VALUES)}


def changed(name, default):
    """Return another value of the same kind."""
    by_suffix = [("pullPolicy", "Always"), ("accessModes", ["ReadWriteMany"]), ("orts", [77])]
    by_suffix += [(suffix, "77Mi") for suffix in (".size", ".maxFileStore", ".memory", ".cpu")]
    by_type = [(bool, not default), (int, 77), (list, NAMED), (dict, OBJECT)]
    found = [value for suffix, value in by_suffix if name.endswith(suffix)]
    found += [value for kind, value in by_type if isinstance(default, kind)]
    return CHANGES.get(name, [*found, TEXT][0])


def with_value(values, name, value):
    result = copy.deepcopy(values)
    at = result
    *parents, last = name.split(".")
    for part in parents:
        at = at.setdefault(part, {})
    at[last] = value
    return result


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_a_value_has_an_effect(name):
    base = OTHER_BASES.get(name, BASE)
    assert stable(base) != stable(with_value(base, name, changed(name, LEAVES[name])))


def test_the_values_are_few_enough_to_be_read():
    assert len((CHART / "values.yaml").read_text().splitlines()) <= 500


def test_every_value_has_a_comment_before_it_or_before_its_namesake_in_common():
    undocumented, comment, path, commented = [], False, [], {"common"}
    for line in (CHART / "values.yaml").read_text().splitlines():
        if key := re.match(r"^( *)(\w+):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            name = ".".join(path)
            inherited = [f"common.{rest}" for rest in (".".join(path[1:]), ".".join(path[1:-1]))]
            inherited += [".".join(path[:-1])] if path[-2:-1] in (["keys"], ["resources"], ["authResources"]) else []
            if comment:
                commented.add(name)
            elif not commented.intersection(inherited):
                undocumented.append(name)
        comment = line.lstrip().startswith("#")
    assert undocumented == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dagitt": {}}, "Additional property dagitt is not allowed"),
        ({"dagit": {"replicas": 2}}, "dagit: Additional property replicas is not allowed"),
        ({"dagit": {"replicaCount": "2"}}, "dagit.replicaCount: Invalid type. Expected: integer, given: string"),
        ({"dagit": {"service": {"type": "Foo"}}}, 'dagit.service.type must be one of the following: "ClusterIP"'),
        ({"nats": {"replicaCount": 2}}, "nats.replicaCount must be one of the following: 1, 3"),
        ({"nats": {"url": "nats://u:p@host"}}, "nats.url: Does not match pattern"),
        ({"logLevel": "debug"}, 'logLevel must be one of the following: "DEBUG"'),
        ({"image": {"tag": 1.0}}, "image.tag: Invalid type"),
        ({"common": {"resources": {"request": {}}}}, "common.resources: Additional property request is not allowed"),
        ({"userDeployments": [{"name": "a"}]}, "userDeployments.0: image is required"),
        ({"userDeployments": [{**WEATHER, "name": "A_b"}]}, "userDeployments.0.name: Does not match pattern"),
        ({"userDeployments": [{**WEATHER, "image": {}}]}, "userDeployments.0.image: repository is required"),
        ({"userDeployments": {"a": {"ports": 1}}}, "userDeployments.a: Additional property ports is not allowed"),
        ({"runs": {"default": {"imge": "x"}}}, "runs.default: Additional property imge is not allowed"),
        ({"runs": {"locations": {"a": {"env": 1}}}}, "runs.locations.a.env: Invalid type"),
        ({"ingress": {"hosts": ["a"]}}, "ingress.hosts.0: Invalid type. Expected: object, given: string"),
        ({"workspace": {"servers": [{"host": "a"}]}}, "workspace.servers.0: port is required"),
        ({"eventstore": {"partitions": 17}}, "eventstore.partitions: Must be less than or equal to 16"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(values, words):
    with pytest.raises(RefusedError, match=re.escape(words)):
        text(values)


def test_everything_that_cannot_work_is_told_at_once():
    values = {
        "nats": {"enabled": False},
        "postgresql": {"enabled": False},
        "userDeployments": [WEATHER, WEATHER],
        "workspace": {"servers": [{"host": "weather", "port": 1}]},
    }
    with pytest.raises(RefusedError) as refusal:
        text(values)
    for words in (
        "nats.url: give",
        "nats.auth.existingSecret: name",
        "postgresql.host: give",
        "postgresql.auth.existingSecret: name",
        "userDeployments: the name weather is given twice",
        "workspace.servers: the name weather is given twice",
    ):
        assert words in str(refusal.value)


def test_a_null_removes_a_default():
    assert "allowPrivilegeEscalation" not in text({"common": {"securityContext": {"allowPrivilegeEscalation": None}}})
