"""What is kept of a Job, a pod and an event of the cluster: the little that says how a worker fares. No I/O.

Objects are read from JSON as the API server sends it, so what a later Kubernetes adds is skipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from dagwire_launcher.kubernetes import names

Raw = Mapping[str, Any]

GIVEN_UP: Final = "DeletionByTaintManager"
"""Why a pod is to go whose node does not answer. It stays until the node does, and is not waited for."""

_EVENT_TEXT: Final = 2000
"""Of an event's message, in characters."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that holds (its status is True), or one that does not."""

    holds: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What every object has."""

    name: str
    uid: str
    version: int
    """The resource version. It grows with each change of anything (Kubernetes: an opaque string; of etcd: a number)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenJob(Seen):
    """A Job of the launcher's."""

    labels: Mapping[str, str]
    created: datetime
    deleting: bool
    conditions: Mapping[str, Condition]

    @property
    def finished(self) -> bool:
        """Whether Kubernetes does nothing more about it."""
        return self.holds("Complete") is not None or self.holds("Failed") is not None

    @property
    def failure(self) -> Condition | None:
        """Why it failed or is about to."""
        return self.holds("FailureTarget") or self.holds("Failed")

    def holds(self, kind: str) -> Condition | None:
        """Return a condition if it holds."""
        found = self.conditions.get(kind)
        return found if found is not None and found.holds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenContainer:
    """A container's state: it waits, runs or has ended."""

    name: str
    image: str
    running: bool = False
    waiting: Condition | None = None
    ended: Condition | None = None
    exit_code: int | None = None
    """None: it has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPod(Seen):
    """A pod of a Job of the launcher's."""

    job: str
    created: datetime
    deleting: bool
    gone: bool = False
    """It was removed from the cluster; this is what was seen of it last."""
    phase: str
    reason: str
    message: str
    node: str
    conditions: Mapping[str, Condition]
    worker: SeenContainer | None
    """None: the kubelet has said nothing of it yet."""
    others: Sequence[SeenContainer]
    """Init containers and sidecars."""
    memory_limit: str | None

    @property
    def over(self) -> bool:
        """Whether the worker in it has ended."""
        ended = self.worker is not None and self.worker.exit_code is not None
        return ended or self.gone or self.phase in {"Succeeded", "Failed"} or self._given_up

    @property
    def _given_up(self) -> bool:
        """Whether its node is taken to be lost: nobody may ever tell of its end."""
        target = self.conditions.get("DisruptionTarget")
        return self.deleting and target is not None and target.holds and target.reason == GIVEN_UP


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvent(Seen):
    """A warning about a Job or a pod of the launcher's."""

    job: str
    kind: str
    """``Job`` or ``Pod``."""
    about: str
    """The uid of the object."""
    reason: str
    message: str


def read_job(raw: Raw) -> SeenJob:
    """Read a Job."""
    meta, status = raw["metadata"], raw.get("status", {})
    return SeenJob(
        **_identity(meta),
        labels=meta.get("labels", {}),
        created=_time(meta["creationTimestamp"]),
        deleting="deletionTimestamp" in meta,
        conditions=_conditions(status),
    )


def read_pod(raw: Raw) -> SeenPod:
    """Read a pod."""
    meta, spec, status = raw["metadata"], raw["spec"], raw.get("status", {})
    own = [_container(one) for one in status.get("containerStatuses", [])]
    init = [_container(one) for one in status.get("initContainerStatuses", [])]
    worker = next((one for one in own if one.name == names.CONTAINER), None)
    return SeenPod(
        **_identity(meta),
        job=meta.get("labels", {}).get(names.JOB_OF_POD, ""),
        created=_time(meta["creationTimestamp"]),
        deleting="deletionTimestamp" in meta,
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        node=spec.get("nodeName", ""),
        conditions=_conditions(status),
        worker=worker,
        others=[*init, *(one for one in own if one is not worker)],
        memory_limit=_memory_limit(spec),
    )


def read_event(raw: Raw) -> SeenEvent | None:
    """Read a warning; None: it is not about what a launcher made."""
    about = raw["involvedObject"]
    kind, name = about.get("kind", ""), about.get("name", "")
    if kind not in {"Job", "Pod"} or not name.startswith(names.PREFIXES):
        return None
    return SeenEvent(
        **_identity(raw["metadata"]),
        # Kubernetes names a Job's pod after it, with a dash and five letters more.
        job=name if kind == "Job" else name.rpartition("-")[0],
        kind=kind,
        about=about.get("uid", ""),
        reason=raw.get("reason", ""),
        message=raw.get("message", "")[:_EVENT_TEXT],
    )


def _memory_limit(spec: Raw) -> str | None:
    for container in spec["containers"]:
        if container["name"] == names.CONTAINER:
            limit: str | None = container.get("resources", {}).get("limits", {}).get("memory")
            return limit
    return None


def _identity(meta: Raw) -> dict[str, Any]:
    return {"name": meta["name"], "uid": meta["uid"], "version": int(meta["resourceVersion"])}


def _conditions(status: Raw) -> dict[str, Condition]:
    return {
        one["type"]: Condition(one["status"] == "True", one.get("reason", ""), one.get("message", ""))
        for one in status.get("conditions") or []
    }


def _container(raw: Raw) -> SeenContainer:
    state = raw.get("state", {})
    waiting, ended = state.get("waiting"), state.get("terminated")
    return SeenContainer(
        name=raw["name"],
        image=raw.get("image", ""),
        running="running" in state,
        waiting=None if waiting is None else _said(waiting),
        ended=None if ended is None else _said(ended),
        exit_code=None if ended is None else ended["exitCode"],
    )


def _said(state: Raw) -> Condition:
    return Condition(holds=True, reason=state.get("reason", ""), message=state.get("message", ""))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
