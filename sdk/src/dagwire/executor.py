"""Which executor runs a job's steps, and what it can be told. How they run them is ``execute``'s business."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import Field, TypeAdapter, model_validator

from dagwire.config.model import Config


class MultiprocessConfig(Config, defer_build=True):
    """What the multiprocess executor can be told: ``{"execution": {"config": {"max_concurrent": 4}}}``."""

    max_concurrent: int = Field(default=0, ge=0)
    """How many steps run at once; 0: as many as there are processors."""
    reuse_processes: bool = True
    """Whether a process executes one step after another; False: each step gets a new one, which takes longer."""

    @property
    def limit(self) -> int:
        """How many steps run at once."""
        return self.max_concurrent or os.cpu_count() or 1


_FLAT: Final = {
    "job_image": "image",
    "image_pull_policy": "image_pull_policy",
    "image_pull_secrets": "image_pull_secrets",
    "service_account_name": "service_account_name",
    "env_config_maps": "env_config_maps",
    "env_secrets": "env_secrets",
    "env_vars": "env",
    "volumes": "volumes",
    "volume_mounts": "volume_mounts",
    "labels": "labels",
    "resources": "resources",
    "scheduler_name": "scheduler_name",
    "security_context": "security_context",
}
"""What the executor of this kind takes elsewhere, and which field of the run-pod config it is here."""


def _environment(variables: Any) -> Any:
    """Return ``["NAME=value"]`` as Kubernetes writes variables."""
    if not isinstance(variables, list) or not all(isinstance(one, str) for one in variables):
        return variables
    found = []
    for one in variables:
        name, equals, value = one.partition("=")
        if not equals:
            raise ValueError(f"env_vars: {name!r} has no value; write {name}=value")
        found.append({"name": name, "value": value})
    return found


class KubernetesConfig(Config, defer_build=True):
    """What the Kubernetes executor can be told: ``{"execution": {"config": {"max_concurrent": 20}}}``."""

    max_concurrent: int = Field(default=0, ge=0)
    """How many steps run at once; 0: as many as are ready."""
    step_k8s_config: dict[str, Any] = Field(default_factory=dict)
    """Run-pod config of every step's pod, laid over that of the run; an op's own tag is laid over it."""
    per_step_k8s_config: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Run-pod config by step key, laid over all else."""

    @model_validator(mode="before")
    @classmethod
    def _from_flat_fields(cls, value: Any) -> Any:
        """Take the fields that code which moves here sets beside these: each is one of ``step_k8s_config``."""
        if not isinstance(value, Mapping) or not (flat := {key: value[key] for key in _FLAT if key in value}):
            return value
        layer = {_FLAT[key]: _environment(one) if key == "env_vars" else one for key, one in flat.items()}
        others = {key: one for key, one in value.items() if key not in flat}
        return {**others, "step_k8s_config": {**layer, **others.get("step_k8s_config", {})}}

    @property
    def limit(self) -> int | None:
        """How many steps run at once; None: as many as are ready."""
        return self.max_concurrent or None


@dataclass(frozen=True)
class ExecutorDefinition:
    """An executor by name, with its own defaults."""

    name: Literal["in_process", "multiprocess", "kubernetes"]
    config_type: type[Config] | None = None
    defaults: tuple[tuple[str, Any], ...] = ()

    @property
    def adapter(self) -> TypeAdapter[Any] | None:
        """What validates its config; None if it takes none."""
        return None if self.config_type is None else TypeAdapter(self.config_type)

    @property
    def run_config(self) -> dict[str, Any]:
        """Its own defaults as a run config: what holds where nobody says otherwise."""
        return {"execution": {"config": dict(self.defaults)}} if self.defaults else {}

    @property
    def isolates_steps(self) -> bool:
        """Whether a step cannot see the memory of the others, so that outputs have to be kept outside of it."""
        return self.name != "in_process"

    @property
    def storage_advice(self) -> str:
        """What to do if a step does not find what another one kept in a file; empty: nothing that could be known."""
        if self.name != "kubernetes":
            return ""
        return (
            "Each step has a pod of its own: mount one volume into all of them (volumes and volumeMounts of the "
            "run-pod config) and set DAGWIRE_WORKER_STORAGE_DIRECTORY, or base_dir of fs_io_manager, to a folder on "
            "it; or give the output an IO manager that keeps it elsewhere."
        )

    def configured(self, config: dict[str, Any]) -> "ExecutorDefinition":
        """Return it with other defaults: ``multiprocess_executor.configured({"max_concurrent": 2})``."""
        if self.config_type is not None:
            config = self.config_type.model_validate(config).model_dump(mode="json", exclude_unset=True)
        return ExecutorDefinition(self.name, self.config_type, tuple({**dict(self.defaults), **config}.items()))


in_process_executor: Final = ExecutorDefinition("in_process")
"""Steps run one after the other in the run's own process. The default."""

multiprocess_executor: Final = ExecutorDefinition("multiprocess", MultiprocessConfig)
"""Each step runs in a process of its own, independent ones at once."""

kubernetes_executor: Final = ExecutorDefinition("kubernetes", KubernetesConfig)
"""Each step runs in a pod of its own, independent ones at once. Steps share their outputs through storage that all
pods reach: a volume, or an IO manager of yours."""

k8s_job_executor: Final = kubernetes_executor
"""The name under which code that moves here knows it."""
