"""Decides how a worker fares from its Job, pods and events: it ended and why, or something delays it. No I/O.

Each message says what happened in the cluster's own words, and what to do. What is not listed here is the worker's own
doing: then its exit code and its output tell.
"""

import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dagwire_shared.events import FailureCause

from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.kubernetes.seen import GIVEN_UP, SeenContainer, SeenEvent, SeenJob, SeenPod

_SIGNALED: Final = 128
"""A container that a signal ended has this and the signal's number as its exit code."""

_IMAGE: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreStartHookError",
        "PostStartHookError",
    }
)
_NOT_STARTED: Final = frozenset({"StartError", "ContainerCannotRun"})
_UNSCHEDULED: Final = frozenset({"Unschedulable", "SchedulingGated", "SchedulerError"})
_MOUNT: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_NODE: Final = frozenset({"FailedCreatePodSandBox", "NetworkNotReady", "FailedCreatePodContainer"})

_DISRUPTIONS: Final = {
    "PreemptionByScheduler": (FailureCause.PREEMPTED, "It had to make room for a pod of a higher priority."),
    GIVEN_UP: (FailureCause.NODE_LOST, "Its node {node} is not ready, or was tainted."),
    "DeletionByPodGC": (FailureCause.NODE_LOST, "Its node {node} is gone."),
    "EvictionByEvictionAPI": (FailureCause.EVICTED, "Its node {node} was drained, or somebody evicted it."),
    "TerminationByKubelet": (FailureCause.EVICTED, "Its node {node} sent it away."),
}
_POD_REASONS: Final = {
    "Evicted": (FailureCause.EVICTED, "Its node {node} sent it away."),
    "Preempting": (FailureCause.PREEMPTED, "It had to make room for a critical pod of its node {node}."),
    "NodeLost": (FailureCause.NODE_LOST, "Its node {node} is gone."),
    "NodeShutdown": (FailureCause.NODE_LOST, "Its node {node} was shut down."),
    "Terminated": (FailureCause.NODE_LOST, "Its node {node} was shut down."),
    "Shutdown": (FailureCause.NODE_LOST, "Its node {node} was shut down."),
    "DeadlineExceeded": (FailureCause.DEADLINE_EXCEEDED, "It took longer than its activeDeadlineSeconds."),
}
_REFUSED_BY_NODE: Final = ("OutOf", "NodeAffinity", "UnexpectedAdmissionError", "NodePorts", "Taint")

_BACK_OFF: Final = re.compile(r'^Back-off pulling image "[^"]*"(: ErrImagePull)?(: )?')
_POD_NAME: Final = re.compile(r'^(Error creating: )?pods "[^"]*" is forbidden: ')


@dataclass(frozen=True, slots=True)
class Standing:
    """How a worker fares; neither field: it runs, or is on its way without trouble."""

    end: WorkerEnd | None = None
    delay: WorkerDelay | None = None
    unexplained: bool = False
    """It is gone, as far as is known; but one watch may be ahead of another, and the next word know better."""


def standing(job: SeenJob | None, pods: Sequence[SeenPod], events: Iterable[SeenEvent]) -> Standing:
    """Decide how a worker fares.

    Args:
        job: None: it is gone.
        pods: those that there were, in the order of their creation; of gone ones what was seen last.
        events: the warnings about them.
    """
    living = next((pod for pod in pods if not pod.over), None)
    if living is not None:
        return Standing(delay=_delay_of_pod(living, events))
    if pods:
        return _end_of_pod(job, pods[-1])
    if job is None:
        end = WorkerEnd(cause=FailureCause.WORKER_DELETED, reason="Its Job was deleted, and it has no pod.")
        return Standing(end, unexplained=True)
    if job.finished:
        return Standing(_end_of_job(job), unexplained=job.failure is not None)
    return Standing(delay=_delay_of_job(job, events))


def _end_of_job(job: SeenJob) -> WorkerEnd:
    """Return the end of a Job that has no pods: none was made, or they are gone for longer than this launcher runs."""
    if job.failure is None:
        return WorkerEnd(code=0)
    if job.failure.reason == "DeadlineExceeded":
        return WorkerEnd(cause=FailureCause.DEADLINE_EXCEEDED, reason=_deadline(job))
    return WorkerEnd(cause=FailureCause.WORKER_DELETED, reason=f"Its pod is gone. {job.failure.message}".strip())


def _end_of_pod(job: SeenJob | None, pod: SeenPod) -> Standing:
    end = _own_end(pod)
    explained = _by_container(pod) or _by_disruption(pod) or _by_deadline(job)
    if explained is not None:
        return Standing(replace(end, cause=explained[0], reason=explained[1]))
    if end.code != 0 and (pod.deleting or pod.gone):
        what = f"Its Job {pod.job}" if job is None or job.deleting else f"Its pod {pod.name}"
        reason = f"{what} was deleted."
        return Standing(replace(end, cause=FailureCause.WORKER_DELETED, reason=reason), unexplained=job is not None)
    return Standing(end)


def _own_end(pod: SeenPod) -> WorkerEnd:
    """Return how the worker's process ended."""
    code = None if pod.worker is None else pod.worker.exit_code
    if code is None:
        failed = next((one for one in pod.others if one.exit_code and one.ended is not None), None)
        reason = "" if failed is None else f"Its container {failed.name} ended with exit code {failed.exit_code}."
        return WorkerEnd(reason=reason)
    number = code - _SIGNALED
    if number in signal.valid_signals():
        return WorkerEnd(signal=number)
    return WorkerEnd(code=code)


def _by_container(pod: SeenPod) -> tuple[FailureCause, str] | None:
    ended = None if pod.worker is None else pod.worker.ended
    if ended is None:
        return None
    if ended.reason == "OOMKilled":
        limit = f"its limit of {pod.memory_limit}" if pod.memory_limit else f"its node {pod.node} has to spare"
        return FailureCause.OUT_OF_MEMORY, (
            f"It used more memory than {limit}, so the kernel ended it: give the run more (resources.limits.memory),"
            " or let it use less."
        )
    if ended.reason in _NOT_STARTED:
        return FailureCause.CONTAINER_CONFIG, f"Its container could not be started: {ended.message}"
    if ended.reason == "ContainerStatusUnknown":
        return FailureCause.NODE_LOST, f"Its node {pod.node} was away and does not know how it ended."
    return None


def _by_disruption(pod: SeenPod) -> tuple[FailureCause, str] | None:
    target = pod.conditions.get("DisruptionTarget")
    found, message = None, pod.message
    if target is not None and target.holds:
        found, message = _DISRUPTIONS.get(target.reason), pod.message or target.message
    # What the kubelet says of the pod is closer to the fact than what was to happen to it.
    found = _POD_REASONS.get(pod.reason, found)
    if found is None and pod.phase == "Failed" and pod.reason.startswith(_REFUSED_BY_NODE):
        found = FailureCause.UNSCHEDULABLE, "Its node {node} had no room for it after all."
    if found is None:
        return None
    cause, words = found
    return cause, f"{words.format(node=pod.node)} {message}".strip()


def _by_deadline(job: SeenJob | None) -> tuple[FailureCause, str] | None:
    if job is None or job.failure is None or job.failure.reason != "DeadlineExceeded":
        return None
    return FailureCause.DEADLINE_EXCEEDED, _deadline(job)


def _deadline(job: SeenJob) -> str:
    said = "" if job.failure is None else job.failure.message
    return f"It took longer than its activeDeadlineSeconds. {said}".strip()


def _delay_of_pod(pod: SeenPod, events: Iterable[SeenEvent]) -> WorkerDelay | None:
    if pod.worker is not None and pod.worker.running:
        return None
    for container in (*pod.others, *([pod.worker] if pod.worker is not None else [])):
        delay = _delay_of_container(container)
        if delay is not None:
            return delay
    scheduled = pod.conditions.get("PodScheduled")
    if scheduled is not None and not scheduled.holds and scheduled.reason in _UNSCHEDULED:
        message = f"No node takes its pod: {scheduled.message} Ask for less, or add nodes that have it."
        return WorkerDelay(FailureCause.UNSCHEDULABLE, message)
    return _delay_by_event(pod, events)


def _delay_of_container(container: SeenContainer) -> WorkerDelay | None:
    waiting = container.waiting
    if waiting is None:
        return None
    said = _BACK_OFF.sub("", waiting.message)
    if waiting.reason in _IMAGE:
        what = f"Its image {container.image} cannot be pulled ({_pull_trouble(waiting.reason)})"
        return WorkerDelay(FailureCause.IMAGE_UNAVAILABLE, _join(what, said))
    if waiting.reason in _CONFIG:
        return WorkerDelay(FailureCause.CONTAINER_CONFIG, _join("Its container cannot be made as configured", said))
    return None


def _pull_trouble(reason: str) -> str:
    # The kubelet takes turns between the two; to people it is one and the same.
    return "ErrImagePull" if reason == "ImagePullBackOff" else reason


def _join(what: str, said: str) -> str:
    return f"{what}: {said}" if said else f"{what}."


def _delay_by_event(pod: SeenPod, events: Iterable[SeenEvent]) -> WorkerDelay | None:
    for event in events:
        if event.about != pod.uid:
            continue
        if event.reason in _MOUNT:
            return WorkerDelay(FailureCause.CONTAINER_CONFIG, f"A volume of its pod cannot be mounted: {event.message}")
        if event.reason in _NODE:
            message = f"Its node {pod.node} cannot set up its pod: {event.message}"
            return WorkerDelay(FailureCause.START_TIMEOUT, message)
    return None


def _delay_of_job(job: SeenJob, events: Iterable[SeenEvent]) -> WorkerDelay | None:
    if job.holds("Suspended") is not None:
        return WorkerDelay(FailureCause.START_TIMEOUT, "Its Job is suspended: whoever suspended it has to resume it.")
    failed = [event for event in events if event.about == job.uid and event.reason == "FailedCreate"]
    if not failed:
        return None
    said = _POD_NAME.sub("", max(failed, key=lambda event: event.version).message)
    if "exceeded quota" in said:
        message = f"A quota of the namespace leaves no room for its pod: {said}"
        return WorkerDelay(FailureCause.QUOTA_EXCEEDED, message)
    return WorkerDelay(FailureCause.LAUNCH_REFUSED, f"The cluster refuses its pod: {said}")
