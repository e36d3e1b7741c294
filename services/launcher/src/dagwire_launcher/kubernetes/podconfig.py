"""What can be said of a worker's pod, in one layer: its fields, checked and spelled as Kubernetes spells them. No I/O.

Layers come from people: camelCase and snake_case are both taken, and every fault is named with its place.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from kubernetes.aio.client.models.v1_affinity import V1Affinity
from kubernetes.aio.client.models.v1_container import V1Container
from kubernetes.aio.client.models.v1_env_from_source import V1EnvFromSource
from kubernetes.aio.client.models.v1_env_var import V1EnvVar
from kubernetes.aio.client.models.v1_job_spec import V1JobSpec
from kubernetes.aio.client.models.v1_pod_security_context import V1PodSecurityContext
from kubernetes.aio.client.models.v1_pod_spec import V1PodSpec
from kubernetes.aio.client.models.v1_resource_requirements import V1ResourceRequirements
from kubernetes.aio.client.models.v1_security_context import V1SecurityContext
from kubernetes.aio.client.models.v1_toleration import V1Toleration
from kubernetes.aio.client.models.v1_topology_spread_constraint import V1TopologySpreadConstraint
from kubernetes.aio.client.models.v1_volume import V1Volume
from kubernetes.aio.client.models.v1_volume_mount import V1VolumeMount
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from dagwire_launcher.kubernetes.names import CONTAINER

PodConfig = dict[str, Any]
"""A checked layer, or several merged: field names in camelCase, values as Kubernetes takes them."""

_LAUNCHERS_VARIABLES: Final = ("DAGWIRE_WORKER_LAUNCH", "DAGWIRE_WORKER_NATS_URL", "DAGWIRE_WORKER_INBOX_PREFIX")
_LAUNCHERS_CONTAINER: Final = frozenset({"name", "command", "args"})
_LAUNCHERS_POD: Final = frozenset({"restartPolicy", "ephemeralContainers"})
_JOB_SPEC: Final = frozenset({"activeDeadlineSeconds", "ttlSecondsAfterFinished", "suspend"})


class PodConfigError(ValueError):
    """A layer is not valid; the message names every fault and its place, one per line."""


def _quantities(value: Any) -> Any:
    """Let people write ``cpu: 2`` where Kubernetes wants a string."""
    if not isinstance(value, Mapping):
        return value
    return {key: _texts(part) if key in {"limits", "requests"} else part for key, part in value.items()}


def _texts(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: str(one) if type(one) in {int, float} else one for key, one in value.items()}


def _with_quantities(value: Any) -> Any:
    if isinstance(value, Mapping) and "resources" in value:
        return {**value, "resources": _quantities(value["resources"])}
    return value


def _named(value: Any) -> Any:
    """Let people write a name where Kubernetes wants an object with a name."""
    if not isinstance(value, list):
        return value
    return [one["name"] if isinstance(one, Mapping) and one.keys() == {"name"} else one for one in value]


def _free_of(reserved: Iterable[str]) -> Callable[[Any], Any]:
    """Refuse what the launcher sets itself."""

    def check(value: Any) -> Any:
        taken = sorted(key for key in value if to_camel(key) in reserved) if isinstance(value, Mapping) else []
        if taken:
            raise ValueError(f"{', '.join(taken)} cannot be set: the launcher does")
        return value

    return check


def _only(allowed: frozenset[str]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        other = sorted(key for key in value if to_camel(key) not in allowed) if isinstance(value, Mapping) else []
        if other:
            raise ValueError(f"{', '.join(other)} cannot be set: only {', '.join(sorted(allowed))}")
        return value

    return check


def _filled(**required: Any) -> Callable[[Any], Any]:
    """Fill in what Kubernetes requires and a layer leaves to the launcher."""
    return lambda value: {**required, **value} if isinstance(value, Mapping) else value


def _check_env(variables: list[V1EnvVar]) -> list[V1EnvVar]:
    for variable in variables:
        if variable.name.startswith(_LAUNCHERS_VARIABLES):
            raise ValueError(f"{variable.name} cannot be set: the launcher does")
    return variables


def _check_container(container: V1Container) -> V1Container:
    _check_env(container.env or [])
    return container


Names = Annotated[list[str], BeforeValidator(_named)]
Env = Annotated[list[V1EnvVar], AfterValidator(_check_env)]
Resources = Annotated[V1ResourceRequirements, BeforeValidator(_quantities)]
WorkerContainer = Annotated[
    V1Container,
    AfterValidator(_check_container),
    BeforeValidator(_with_quantities),
    BeforeValidator(_filled(name=CONTAINER)),
    BeforeValidator(_free_of(_LAUNCHERS_CONTAINER)),
]
Container = Annotated[V1Container, BeforeValidator(_with_quantities)]
PodSpec = Annotated[V1PodSpec, BeforeValidator(_filled(containers=[])), BeforeValidator(_free_of(_LAUNCHERS_POD))]
JobSpec = Annotated[
    V1JobSpec, BeforeValidator(_filled(template={"spec": {"containers": []}})), BeforeValidator(_only(_JOB_SPEC))
]


class _Layer(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )


class Metadata(_Layer):
    """Labels and annotations of a Job or a pod."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class RunPodConfig(_Layer):
    """What one layer may say. Every field may be left out; field names are written in camelCase or snake_case."""

    image: str | None = None
    """The worker's image; unset: the one that the code server reported."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled."""
    image_pull_secrets: Names = Field(default_factory=list)
    """Names of the Secrets with the registry's credentials."""
    service_account_name: str | None = None
    """The pod's service account. It gets no token unless `podSpecConfig` mounts it."""
    env: Env = Field(default_factory=list)
    """Environment variables."""
    env_from: list[V1EnvFromSource] = Field(default_factory=list)
    """ConfigMaps and Secrets all of whose entries become environment variables."""
    env_config_maps: Names = Field(default_factory=list)
    """Names of ConfigMaps for `envFrom`."""
    env_secrets: Names = Field(default_factory=list)
    """Names of Secrets for `envFrom`."""
    volumes: list[V1Volume] = Field(default_factory=list)
    """The pod's volumes."""
    volume_mounts: list[V1VolumeMount] = Field(default_factory=list)
    """Where the worker has them."""
    resources: Resources | None = None
    """The worker's requests and limits."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that the pod's node must have."""
    affinity: V1Affinity | None = None
    """Which nodes the pod is drawn to or kept from."""
    tolerations: list[V1Toleration] = Field(default_factory=list)
    """Which taints the pod tolerates."""
    topology_spread_constraints: list[V1TopologySpreadConstraint] = Field(default_factory=list)
    """How pods are spread."""
    priority_class_name: str | None = None
    """The pod's priority class: what may preempt it, and what it may preempt."""
    scheduler_name: str | None = None
    """The scheduler that places the pod."""
    runtime_class_name: str | None = None
    """The container runtime's class."""
    security_context: V1SecurityContext | None = None
    """The worker container's security context, laid over the restricted one."""
    pod_security_context: V1PodSecurityContext | None = None
    """The pod's security context, laid over the restricted one."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the Job and its pod."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the Job and its pod. Those of the launcher win."""
    init_containers: list[Container] = Field(default_factory=list)
    """Containers that run before the worker."""
    sidecar_containers: list[Container] = Field(default_factory=list)
    """Containers that run beside the worker and end with it: init containers with `restartPolicy: Always`."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] | None = None
    """How long the finished Job is kept, in seconds; unset: `DAGWIRE_LAUNCHER_KEEP_DAYS`."""
    active_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    """How long the Job may take, in seconds, waiting included; then the run fails."""
    termination_grace_period_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long the worker may take to end when its pod is told to, in seconds (30)."""
    container_config: WorkerContainer | None = None
    """Anything else of the worker's container, laid over what the fields above make of it."""
    pod_spec_config: PodSpec | None = None
    """Anything else of the pod's spec, laid over it."""
    pod_template_spec_metadata: Metadata | None = None
    """Labels and annotations of the pod alone."""
    job_spec_config: JobSpec | None = None
    """`activeDeadlineSeconds`, `ttlSecondsAfterFinished`, `suspend`."""
    job_metadata: Metadata | None = None
    """Labels and annotations of the Job alone."""
    merge_behavior: Literal["DEEP", "SHALLOW"] = "DEEP"
    """How this layer is laid over those below: `SHALLOW` replaces whole fields."""


FIELDS: Final = tuple(to_camel(name) for name in RunPodConfig.model_fields)
"""Every field of a layer, as Kubernetes would spell it."""

_PLACEHOLDERS: Final = {"containerConfig": "name", "podSpecConfig": "containers", "jobSpecConfig": "template"}


def read_layer(value: Mapping[str, Any]) -> PodConfig:
    """Check a layer, and return what it says, spelled as Kubernetes does.

    Raises:
        PodConfigError: it is not valid.
    """
    try:
        layer = RunPodConfig.model_validate(value)
    except ValidationError as error:
        faults = [f"{_place(fault['loc'])}: {_words(fault['msg'])}" for fault in error.errors(include_url=False)]
        raise PodConfigError("\n".join(faults)) from error
    said = layer.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    for field, placeholder in _PLACEHOLDERS.items():
        if field in said and not (field == "podSpecConfig" and said[field]["containers"]):
            said[field].pop(placeholder, None)
    return said


def _place(loc: tuple[int | str, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{to_camel(part)}" for part in loc]
    return "".join(parts).removeprefix(".") or "the whole"


def _words(message: str) -> str:
    words = message.removeprefix("Value error, ")
    if words == "Extra inputs are not permitted":
        return "there is no such field"
    return words[:1].lower() + words[1:] if words[1:2].islower() else words
