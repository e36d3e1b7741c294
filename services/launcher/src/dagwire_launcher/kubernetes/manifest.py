"""Builds the Job of a worker: one pure function, whose results are golden files (tests/golden/jobs).

It decides what a pod may do and what Kubernetes may do with it: never run it twice, nothing beyond Pod Security
"restricted", no rights in the cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.command import container_command, for_step, launch_environment
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.kubernetes import names
from dagwire_launcher.kubernetes.merge import overlay
from dagwire_launcher.kubernetes.podconfig import PodConfig
from dagwire_launcher.stepname import StepName

Manifest = dict[str, Any]

DATA: Final = "/var/lib/dagwire"
"""Where a worker keeps outputs and spools events: an emptyDir, unless a layer mounts something there."""

_SCRATCH: Final = {"dagwire-data": DATA, "dagwire-tmp": "/tmp"}  # noqa: S108 -- the container's own
_GRACE_SECONDS: Final = 30

_POD_SECURITY: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER_SECURITY: Final = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_ANNOTATIONS: Final = {
    # A run that is moved is a run that fails.
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJob:
    """What makes one worker's Job different from another's."""

    name: str
    labels: Mapping[str, str]
    image: str
    command: Sequence[str]
    working_directory: str
    environment: Mapping[str, str]
    """Variables that no layer can change: the launch message, the credential."""
    ttl_seconds: int
    """How long the finished Job is kept, unless a layer says otherwise."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The Job that another one belongs to: Kubernetes removes that with it."""

    name: str
    uid: str


def run_worker(
    order: WorkerOrder, config: PodConfig, *, credential: Mapping[str, str], instance: str, ttl_seconds: int
) -> WorkerJob:
    """Return what makes the Job of a run's worker.

    Raises:
        LaunchRefusedError: nobody says in which image the code is.
    """
    return WorkerJob(
        name=names.run_job_name(order.run_id),
        labels=_labels(order, names.RUN_WORKER, instance),
        image=_image(order, config),
        command=container_command(order.code.pointer),
        working_directory=order.code.pointer.working_directory,
        environment=_environment(order, credential),
        ttl_seconds=ttl_seconds,
    )


def step_worker(
    order: WorkerOrder,
    step: StepName,
    config: PodConfig,
    *,
    credential: Mapping[str, str],
    instance: str,
    ttl_seconds: int,
) -> WorkerJob:
    """Return what makes the Job of the worker of one step.

    Raises:
        LaunchRefusedError: nobody says in which image the code is.
    """
    return WorkerJob(
        name=step.worker,
        labels={**_labels(order, names.STEP_WORKER, instance), names.STEP: names.label_value(step.step_key)},
        image=_image(order, config),
        command=for_step(container_command(order.code.pointer), step.step_key, step.attempt),
        working_directory=order.code.pointer.working_directory,
        environment=_environment(order, credential),
        ttl_seconds=ttl_seconds,
    )


def _labels(order: WorkerOrder, component: str, instance: str) -> dict[str, str]:
    return names.labels(
        instance=instance, component=component, run_id=order.run_id, job=order.job, location=order.location
    )


def _image(order: WorkerOrder, config: PodConfig) -> str:
    image: str | None = config.get("image") or order.code.image
    if image is None:
        raise LaunchRefusedError(
            f"Nobody says in which image the code of {order.location} is: set DAGWIRE_CURRENT_IMAGE for its code server"
            " (the Helm chart does), or image in a layer of the run-pod config."
        )
    return image


def _environment(order: WorkerOrder, credential: Mapping[str, str]) -> dict[str, str]:
    return {**launch_environment(order.message), **credential, "DAGWIRE_WORKER_SIGNALS": "interrupt"}


def job_manifest(worker: WorkerJob, config: PodConfig, *, owner: Owner | None = None) -> Manifest:
    """Return the Job of a worker as Kubernetes takes it; with an owner it is removed when that is."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": worker.name, **_metadata(worker, config, "jobMetadata"), **_owned_by(owner)},
        "spec": {
            "ttlSecondsAfterFinished": config.get("ttlSecondsAfterFinished", worker.ttl_seconds),
            **_given(config, "activeDeadlineSeconds"),
            **config.get("jobSpecConfig", {}),
            # A pod that ended is never replaced: what it did cannot be known, so it is not done again.
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": _metadata(worker, config, "podTemplateSpecMetadata", _ANNOTATIONS),
                "spec": _pod_spec(worker, config),
            },
        },
    }


def _owned_by(owner: Owner | None) -> Manifest:
    if owner is None:
        return {}
    return {"ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": owner.name, "uid": owner.uid}]}


def _metadata(worker: WorkerJob, config: PodConfig, own: str, annotations: Mapping[str, str] | None = None) -> Manifest:
    more = config.get(own, {})
    found = {**(annotations or {}), **config.get("annotations", {}), **more.get("annotations", {})}
    labels = {**config.get("labels", {}), **more.get("labels", {}), **worker.labels}
    return {"labels": labels, **({"annotations": found} if found else {})}


def _pod_spec(worker: WorkerJob, config: PodConfig) -> Manifest:
    spec: Manifest = {
        "automountServiceAccountToken": False,
        # A Service named dagwire-dagit would set DAGWIRE_DAGIT_PORT.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": config.get("terminationGracePeriodSeconds", _GRACE_SECONDS),
        "securityContext": overlay(_POD_SECURITY, config.get("podSecurityContext", {})),
        **_given(
            config,
            "serviceAccountName",
            "nodeSelector",
            "affinity",
            "tolerations",
            "topologySpreadConstraints",
            "priorityClassName",
            "schedulerName",
            "runtimeClassName",
        ),
    }
    if "imagePullSecrets" in config:
        spec["imagePullSecrets"] = [{"name": name} for name in config["imagePullSecrets"]]
    before = [
        *map(_restricted, config.get("initContainers", [])),
        *({**_restricted(one), "restartPolicy": "Always"} for one in config.get("sidecarContainers", [])),
    ]
    if before:
        spec["initContainers"] = before
    spec["volumes"] = [*_scratch_volumes(config), *config.get("volumes", [])]
    more = dict(config.get("podSpecConfig", {}))
    beside = more.pop("containers", [])
    return {**overlay(spec, more), "restartPolicy": "Never", "containers": [_container(worker, config), *beside]}


def _restricted(container: Manifest) -> Manifest:
    return overlay({"securityContext": _CONTAINER_SECURITY}, container)


def _container(worker: WorkerJob, config: PodConfig) -> Manifest:
    container: Manifest = {
        "name": names.CONTAINER,
        "image": worker.image,
        "command": list(worker.command),
        "workingDir": worker.working_directory,
        "env": config.get("env", []),
        "securityContext": overlay(_CONTAINER_SECURITY, config.get("securityContext", {})),
        # The last lines are known even when the pod is gone.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **_given(config, "imagePullPolicy", "resources"),
        "volumeMounts": [*_scratch_mounts(config), *config.get("volumeMounts", [])],
    }
    sources = [
        *config.get("envFrom", []),
        *({"configMapRef": {"name": name}} for name in config.get("envConfigMaps", [])),
        *({"secretRef": {"name": name}} for name in config.get("envSecrets", [])),
    ]
    if sources:
        container["envFrom"] = sources
    container = overlay(container, config.get("containerConfig", {}))
    return {**container, "env": _env(container["env"], worker.environment)}


def _env(said: Sequence[Mapping[str, Any]], fixed: Mapping[str, str]) -> list[Mapping[str, Any]]:
    known = {variable["name"] for variable in said}
    defaults = {
        "DAGWIRE_WORKER_STORAGE_DIRECTORY": f"{DATA}/storage",
        "DAGWIRE_WORKER_SPOOL_DIRECTORY": f"{DATA}/spool",
    }
    return [
        *({"name": name, "value": value} for name, value in defaults.items() if name not in known),
        *(variable for variable in said if variable["name"] not in fixed),
        *({"name": name, "value": value} for name, value in fixed.items()),
    ]


def _scratch_volumes(config: PodConfig) -> list[Manifest]:
    return [{"name": name, "emptyDir": {}} for name in _scratch(config)]


def _scratch_mounts(config: PodConfig) -> list[Manifest]:
    return [{"name": name, "mountPath": path} for name, path in _scratch(config).items()]


def _scratch(config: PodConfig) -> Mapping[str, str]:
    """Return the volumes for what a worker writes, unless a layer mounts something there."""
    mounted = _mounted(config)
    return {name: path for name, path in _SCRATCH.items() if path not in mounted}


def _mounted(config: PodConfig) -> set[str]:
    mounts = [*config.get("volumeMounts", []), *config.get("containerConfig", {}).get("volumeMounts", [])]
    return {mount["mountPath"].rstrip("/") for mount in mounts}


def _given(config: PodConfig, *fields: str) -> Manifest:
    return {field: config[field] for field in fields if field in config}
