"""Which layers of run-pod config make a worker's pod, in which order, and what user code may say in them.

Later layers win: the file's ``default``, its ``locations.<name>``, the code location's container context, the job's
tag, for the pod of a step what its run says of that. The last three come from user code, and may set only what the
file allows.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from dagwire_shared.errors import SettingsError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.kubernetes.merge import merge_layers
from dagwire_launcher.kubernetes.podconfig import FIELDS, PodConfig, PodConfigError, read_layer
from dagwire_launcher.runconfig import read_section

SAFE: Final = (
    "image",
    "imagePullPolicy",
    "env",
    "resources",
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "annotations",
    "labels",
    "ttlSecondsAfterFinished",
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
    "mergeBehavior",
)
"""What user code may set where the file does not say: nothing that reads Secrets, or gives a pod more rights."""

_SECTION: Final = "kubernetes"
_CONTEXT_KEYS: Final = ("k8s", "kubernetes")
_CACHED: Final = 4096


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default: dict[str, Any] = Field(default_factory=dict)
    locations: dict[str, dict[str, Any]] = Field(default_factory=dict)
    allow: list[str] | Literal["*"] = list(SAFE)


class InvalidRunConfigError(SettingsError):
    """Correct the places that the message names, then start the launcher again."""


class RunConfig:
    """The operator's layers, and what they allow user code."""

    def __init__(self, value: Mapping[str, Any] | None = None) -> None:
        """Take the content of the ``kubernetes`` section of the launcher's file.

        Raises:
            InvalidRunConfigError: it is not valid; the message names every fault.
        """
        try:
            file = _File.model_validate(value or {})
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
            raise _invalid(wrong) from error
        faults: list[str] = []
        self._default = _read("default", file.default, faults)
        self._locations = {name: _read(f"locations.{name}", layer, faults) for name, layer in file.locations.items()}
        self._allowed = frozenset(FIELDS if file.allow == "*" else map(to_camel, file.allow))
        faults += [f"allow: there is no field {name}" for name in sorted(self._allowed - set(FIELDS))]
        if faults:
            raise _invalid(faults)
        self._resolved = lru_cache(_CACHED)(self._resolve)

    @classmethod
    def read(cls, file: Path | None) -> "RunConfig":
        """Read the launcher's file; None: there is none.

        Raises:
            SettingsError: it cannot be read, or is not valid.
        """
        try:
            return cls(read_section(file, _SECTION))
        except InvalidRunConfigError as error:
            raise SettingsError(f"the run config {file} is wrong, in its section {_SECTION}:\n{error}") from error

    def of(self, order: WorkerOrder) -> PodConfig:
        """Return what all layers together say of a worker's pod.

        Raises:
            LaunchRefusedError: user code says something that is not valid or not allowed; the message names it.
        """
        code = order.code
        context = next((code.container_context[key] for key in _CONTEXT_KEYS if key in code.container_context), None)
        return self._resolved(order.location, json.dumps(context or {}), json.dumps(dict(code.container_config)))

    def of_step(self, order: WorkerOrder, step_key: str, said: Sequence[Mapping[str, Any]]) -> PodConfig:
        """Return what all layers together say of the pod of one step: those of its run, and its own over them.

        Args:
            order: the run.
            step_key: the step.
            said: what user code says of this step, the strongest last.

        Raises:
            LaunchRefusedError: as ``of``.
        """
        merged = self.of(order)
        for layer in said:
            merged = merge_layers(merged, self._of_user_code(f"step {step_key}", layer))
        return merged

    def _resolve(self, location: str, context: str, config: str) -> PodConfig:
        merged = merge_layers(self._default, self._locations.get(location, {}))
        for layer, text in ((f"code location {location}", context), ("job", config)):
            merged = merge_layers(merged, self._of_user_code(layer, json.loads(text)))
        return merged

    def _of_user_code(self, layer: str, value: Any) -> PodConfig:
        if not isinstance(value, Mapping):
            raise LaunchRefusedError(f"The run-pod config of the {layer} is not valid: it is no mapping.")
        try:
            said = read_layer(value)
        except PodConfigError as error:
            raise LaunchRefusedError(f"The run-pod config of the {layer} is not valid:\n{error}") from error
        denied = sorted(said.keys() - self._allowed)
        if "envFrom" not in self._allowed and any("valueFrom" in variable for variable in said.get("env", [])):
            denied.append("env with valueFrom")
        if denied:
            raise LaunchRefusedError(
                f"The run-pod config of the {layer} sets {', '.join(denied)}, which user code may not."
                " Whoever operates Dagwire can set it for the code location, or allow it, in the launcher's run config."
            )
        return said


def _invalid(faults: Sequence[str]) -> InvalidRunConfigError:
    return InvalidRunConfigError("\n".join(f"  {fault}" for fault in faults))


def _read(place: str, layer: Mapping[str, Any], faults: list[str]) -> PodConfig:
    try:
        return read_layer(layer)
    except PodConfigError as error:
        faults += [f"{place}.{fault}" for fault in str(error).splitlines()]
        return {}
