"""The chart rendered by the real helm: its objects as plain dicts and as the typed ones of the Kubernetes client."""

import functools
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiClient

CHART = Path(__file__).parents[2] / "deploy/helm/dagwire"
HELM = Path(sys.executable).parent / "helm"
WEATHER: dict[str, Any] = {
    "name": "weather",
    "image": {"repository": "example/weather", "tag": "1.0"},
    "dagsterApiGrpcArgs": ["-f", "repo.py"],
}
"""A code server as short as one can be."""

EVERYTHING: dict[str, Any] = {
    "userDeployments": [WEATHER, {**WEATHER, "name": "other", "includeConfigInLaunchedRuns": {"enabled": False}}],
    "dagit": {"autoscaling": {"enabled": True}, "service": {"type": "NodePort", "nodePort": 30080}},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "hosts": [{"host": "a.example.org"}],
        "tls": [{"secretName": "t"}],
    },
    "nats": {"replicaCount": 3},
    "networkPolicy": {"monitorFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
    "common": {
        "env": {"A": 1, "B": {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}},
        "envSecrets": ["s"],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "sidecarContainers": [{"name": "side", "image": "side"}],
        "initContainers": [{"name": "first", "image": "first"}],
        "tolerations": [{"key": "k", "operator": "Exists"}],
    },
}
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": EVERYTHING,
    "user code alone": {"userCodeOnly": True, "userDeployments": [WEATHER]},
    "external": {
        "nats": {"enabled": False, "url": "tls://n.example.org:4443", "auth": {"existingSecret": "n"}},
        "postgresql": {
            "enabled": False,
            "auth": {"existingSecret": "p", "keys": {"host": "host", "port": "port", "readerUser": "user"}},
        },
        "runs": {"namespace": "runs"},
    },
    "external without callout": {
        "nats": {"enabled": False, "url": "nats://n", "auth": {"existingSecret": "n", "callout": False}},
        "postgresql": {"enabled": False, "host": "p", "tls": {"caSecret": "ca"}, "auth": {"existingSecret": "p"}},
    },
}
"""Releases that are as different as can be."""

GENERATED = re.compile(r"[A-Za-z0-9+/]{54}==")
"""A generated password as a Secret holds it: 40 characters in base64."""

_TYPES = {
    "ConfigMap": "V1ConfigMap",
    "Deployment": "V1Deployment",
    "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
    "Ingress": "V1Ingress",
    "Job": "V1Job",
    "NetworkPolicy": "V1NetworkPolicy",
    "Pod": "V1Pod",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
    "Role": "V1Role",
    "RoleBinding": "V1RoleBinding",
    "Secret": "V1Secret",
    "Service": "V1Service",
    "ServiceAccount": "V1ServiceAccount",
    "StatefulSet": "V1StatefulSet",
}


class RefusedError(AssertionError):
    """Helm refused the values; the message is what it said."""


@dataclass(frozen=True)
class Rendering:
    """What a release would consist of."""

    objects: tuple[dict[str, Any], ...]

    def names(self, kind: str) -> set[str]:
        """Return the names of all objects of a kind."""
        return {one["metadata"]["name"] for one in self.objects if one["kind"] == kind}

    def raw(self, kind: str, name: str) -> dict[str, Any]:
        """Return one object as it is in the manifest."""
        found = [one for one in self.objects if one["kind"] == kind and one["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects {kind}/{name}; there are {sorted(self.names(kind))}"
        return found[0]

    def get(self, kind: str, name: str) -> Any:
        """Return one object as a typed one of the Kubernetes client."""
        return typed(self.raw(kind, name))

    def pod(self, component: str) -> Any:
        """Return the typed pod spec of a component's workload."""
        return dict(self.pods)[component].spec

    def container(self, component: str) -> Any:
        """Return the typed main container of a component's workload."""
        return self.pod(component).containers[0]

    def env(self, component: str) -> dict[str, Any]:
        """Return a component's variables: plain values, or ``(secret, key)``."""
        found = {}
        for variable in self.container(component).env or []:
            source = variable.value_from
            secret = source.secret_key_ref if source is not None else None
            found[variable.name] = variable.value if secret is None else (secret.name, secret.key)
        return found

    @functools.cached_property
    def pods(self) -> list[tuple[str, Any]]:
        """Every typed pod template with its component's name; a code server's is `user-code`."""
        return [
            (one["metadata"]["labels"]["component"], typed(one) if one["kind"] == "Pod" else typed(one).spec.template)
            for one in self.objects
            if one["kind"] in {"Deployment", "StatefulSet", "Job", "Pod"}
        ]

    def policies(self) -> dict[str, Any]:
        """Return the typed specs of all NetworkPolicies by their names without the release's."""
        names = self.names("NetworkPolicy")
        return {name.removeprefix("dagwire-"): self.get("NetworkPolicy", name).spec for name in names}

    def data(self, name: str, key: str) -> Any:
        """Return a file of a ConfigMap, read as YAML."""
        return yaml.safe_load(self.raw("ConfigMap", name)["data"][key])


def typed(content: Mapping[str, Any]) -> Any:
    """Read a manifest as the Kubernetes client does what the API answers: unknown fields are left out."""
    return _CLIENT.deserialize(json.dumps(content), _TYPES[content["kind"]], "application/json")


def text(values: Mapping[str, Any], *words: str, release: str = "dagwire") -> str:
    """Return what `helm template` writes."""
    return _text(json.dumps(values, sort_keys=True), words, release)


@functools.lru_cache(maxsize=256)
def _text(values: str, words: tuple[str, ...], release: str) -> str:
    command = [str(HELM), "template", release, str(CHART), "--namespace", "data", "-f", "-", *words]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RefusedError(done.stderr)
    return done.stdout


def stable(values: Mapping[str, Any], *words: str, release: str = "dagwire") -> str:
    """Return what `helm template` writes, with the random passwords taken out."""
    return GENERATED.sub("generated", text(values, *words, release=release))


def render(values: Mapping[str, Any], *words: str, release: str = "dagwire") -> Rendering:
    """Render the chart with values over its own.

    Raises:
        RefusedError: Helm refused them.
    """
    return _rendering(text(values, *words, release=release))


@functools.lru_cache(maxsize=64)
def _rendering(manifests: str) -> Rendering:
    return Rendering(tuple(one for one in yaml.load_all(manifests, Loader=_Loader) if one))


_CLIENT = ApiClient()
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
