"""How a worker fares, from what a cluster says of its Job and pods. The JSON is what Kubernetes 1.34 sends."""

import itertools

import pytest
from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.kubernetes.causes import standing
from dagwire_launcher.kubernetes.seen import read_event, read_job, read_pod
from dagwire_shared.events import FailureCause

NAME = "dagwire-run-r"
POD = "dagwire-run-r-abcde"
IMAGE = "example/weather:1"
AT = "2026-11-01T12:00:00Z"
versions = itertools.count(1)


def meta(name, **more):
    version = str(next(versions))
    return {"name": name, "uid": f"uid-{name}", "resourceVersion": version, "creationTimestamp": AT, **more}


def condition(kind, reason="", message="", status="True"):
    return {"type": kind, "status": status, "reason": reason, "message": message}


def job(*conditions, **more):
    return read_job({"metadata": meta(NAME, labels={}, **more), "status": {"conditions": list(conditions)}})


def pod(state=None, *, conditions=(), init=(), deleting=False, phase="Running", limit="64Mi", **status):
    """A pod whose worker is in a state; None: the kubelet has said nothing of it."""
    statuses = [] if state is None else [{"name": "worker", "image": IMAGE, "state": state}]
    more = {"deletionTimestamp": "2026-11-01T12:01:00Z"} if deleting else {}
    resources = {"limits": {"memory": limit}} if limit else {}
    return read_pod(
        {
            "metadata": meta(POD, labels={"batch.kubernetes.io/job-name": NAME}, **more),
            "spec": {"nodeName": "node-1", "containers": [{"name": "worker", "resources": resources}]},
            "status": {
                "phase": phase,
                "conditions": list(conditions),
                "containerStatuses": statuses,
                "initContainerStatuses": list(init),
                **status,
            },
        }
    )


def warning(kind, reason, message, *, about=None):
    name = NAME if kind == "Job" else POD
    about = about or f"uid-{name}"
    return read_event(
        {
            "metadata": meta(f"event-{next(versions)}"),
            "involvedObject": {"kind": kind, "name": name, "uid": about},
            "reason": reason,
            "message": message,
        }
    )


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


def ended(code, reason="Error", message=""):
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


RUNNING = {"running": {"startedAt": "2026-11-01T12:00:01Z"}}


def end_of(one, the_job=None, *, gone=False):
    the_job = job() if the_job is None and not gone else the_job
    found = standing(the_job, [one], [])
    assert found.end is not None
    return found.end


def delay_of(one, *events):
    return standing(job(), [one] if one else [], events).delay


def test_a_worker_on_its_way_or_at_work_is_left_alone():
    for one in (pod(phase="Pending"), pod(waiting("ContainerCreating"), phase="Pending"), pod(RUNNING)):
        found = standing(job(), [one], [])
        assert (found.end, found.delay) == (None, None)
    assert standing(job(), [], []).end is None


def test_a_worker_that_ended_by_itself_has_its_exit_code_and_no_cause():
    assert end_of(pod(ended(0, "Completed"), phase="Succeeded")) == WorkerEnd(code=0)
    assert end_of(pod(ended(3))) == WorkerEnd(code=3)
    assert end_of(pod(ended(139))) == WorkerEnd(signal=11)


def test_memory_is_named_with_its_limit():
    end = end_of(pod(ended(137, "OOMKilled")))
    assert (end.signal, end.cause) == (9, FailureCause.OUT_OF_MEMORY)
    assert "its limit of 64Mi" in end.reason
    assert "its node node-1 has to spare" in end_of(pod(ended(137, "OOMKilled"), limit=None)).reason


@pytest.mark.parametrize(
    ("reason", "cause", "words"),
    [
        ("PreemptionByScheduler", "preempted", "room for a pod of a higher priority"),
        ("DeletionByTaintManager", "node_lost", "node-1 is not ready"),
        ("DeletionByPodGC", "node_lost", "node-1 is gone"),
        ("EvictionByEvictionAPI", "evicted", "node-1 was drained"),
        ("TerminationByKubelet", "evicted", "node-1 sent it away"),
    ],
)
def test_a_disruption_is_named_whatever_the_exit_code(reason, cause, words):
    target = condition("DisruptionTarget", reason, "the cluster's own words")
    for one in (
        pod(ended(76), conditions=[target], deleting=True),
        pod(ended(137), conditions=[target], deleting=True),
        pod(phase="Failed", conditions=[target]),
    ):
        end = end_of(one)
        assert end.cause == cause
        assert words in end.reason
        assert "the cluster's own words" in end.reason


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Evicted", "evicted"),
        ("Preempting", "preempted"),
        ("NodeLost", "node_lost"),
        ("Terminated", "node_lost"),
        ("DeadlineExceeded", "deadline_exceeded"),
        ("OutOfcpu", "unschedulable"),
        ("UnexpectedAdmissionError", "unschedulable"),
    ],
)
def test_what_the_kubelet_says_of_a_failed_pod_is_its_cause(reason, cause):
    end = end_of(pod(phase="Failed", reason=reason, message="The node was low on resource: memory."))
    assert end.cause == cause
    assert "The node was low on resource: memory." in end.reason


def test_a_container_that_cannot_start_has_its_runtimes_words():
    end = end_of(pod(ended(128, "StartError", 'exec: "/no/python": no such file'), phase="Failed"))
    assert end.cause == "container_config"
    assert "/no/python" in end.reason


def test_a_node_that_came_back_does_not_know_how_the_worker_ended():
    assert end_of(pod(ended(137, "ContainerStatusUnknown"))).cause == "node_lost"


def test_a_deadline_is_told_from_a_deletion_by_what_the_job_says():
    failing = job(condition("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline"))
    end = end_of(pod(ended(76), deleting=True), failing)
    assert end.cause == "deadline_exceeded"
    assert "longer than specified deadline" in end.reason


def test_a_deleted_pod_and_a_deleted_job_are_told_apart():
    by_pod = end_of(pod(ended(76), deleting=True))
    assert (by_pod.cause, by_pod.reason) == ("worker_deleted", f"Its pod {POD} was deleted.")
    for the_job, gone in ((job(deletionTimestamp="2026-11-01T12:01:00Z"), False), (None, True)):
        end = end_of(pod(ended(76), deleting=True), the_job, gone=gone)
        assert (end.cause, end.reason) == ("worker_deleted", f"Its Job {NAME} was deleted.")


def test_a_deleted_pod_whose_job_is_there_may_have_another_cause_soon():
    assert standing(job(), [pod(ended(76), deleting=True)], []).unexplained
    assert standing(job(condition("Failed", "BackoffLimitExceeded")), [], []).unexplained
    assert not standing(None, [pod(ended(76), deleting=True)], []).unexplained


def test_a_worker_that_was_done_when_its_pod_was_deleted_was_done():
    assert end_of(pod(ended(0, "Completed"), deleting=True)) == WorkerEnd(code=0)


def test_a_worker_that_is_being_deleted_lives_until_it_has_ended():
    assert standing(None, [pod(RUNNING, deleting=True)], []).end is None


def test_a_worker_whose_node_is_given_up_is_not_waited_for():
    target = condition("DisruptionTarget", "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
    assert end_of(pod(RUNNING, conditions=[target], deleting=True)).cause == "node_lost"


def test_a_worker_that_is_preempted_is_waited_for_until_it_has_ended():
    target = condition("DisruptionTarget", "PreemptionByScheduler")
    assert standing(job(), [pod(RUNNING, conditions=[target], deleting=True)], []).end is None


def test_an_init_container_that_failed_is_named():
    init = [{"name": "fetch", "image": "fetch:1", "state": ended(1)}]
    assert "fetch ended with exit code 1" in end_of(pod(waiting("PodInitializing"), phase="Failed", init=init)).reason


def test_a_job_without_pods_ends_as_it_says():
    assert standing(None, [], []).end.cause == "worker_deleted"
    assert standing(job(condition("Complete")), [], []).end == WorkerEnd(code=0)
    late = job(condition("Failed", "DeadlineExceeded", "too long"))
    assert standing(late, [], []).end.cause == "deadline_exceeded"
    lost = job(condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"))
    assert standing(lost, [], []).end.cause == "worker_deleted"


def test_an_image_that_cannot_be_pulled_is_told_once_though_the_kubelet_takes_turns():
    said = 'failed to pull and unpack image "x": not found'
    error = delay_of(pod(waiting("ErrImagePull", said), phase="Pending"))
    again = f'Back-off pulling image "{IMAGE}": ErrImagePull: {said}'
    assert error == delay_of(pod(waiting("ImagePullBackOff", again), phase="Pending"))
    assert error.cause == "image_unavailable"
    assert IMAGE in error.message
    assert said in error.message


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_is_none_is_told(reason):
    delay = delay_of(pod(waiting(reason, "why"), phase="Pending"))
    assert delay == WorkerDelay(FailureCause.IMAGE_UNAVAILABLE, f"Its image {IMAGE} cannot be pulled ({reason}): why")


def test_a_container_that_cannot_be_made_is_told_of_any_container():
    expected = "Its container cannot be made as configured: no secret"
    state = waiting("CreateContainerConfigError", "no secret")
    assert delay_of(pod(state, phase="Pending")) == WorkerDelay(FailureCause.CONTAINER_CONFIG, expected)
    init = [{"name": "fetch", "image": "fetch:1", "state": state}]
    assert delay_of(pod(waiting("PodInitializing"), phase="Pending", init=init)).message == expected


def test_a_pod_that_no_node_takes_has_the_schedulers_words():
    words = "0/1 nodes are available: 1 Insufficient cpu."
    unscheduled = condition("PodScheduled", "Unschedulable", words, status="False")
    delay = delay_of(pod(phase="Pending", conditions=[unscheduled]))
    assert delay.cause == "unschedulable"
    assert words in delay.message


def test_a_volume_that_cannot_be_mounted_is_known_from_a_warning():
    event = warning("Pod", "FailedMount", 'secret "s" not found')
    creating = pod(waiting("ContainerCreating"), phase="Pending")
    assert delay_of(creating, event).cause == "container_config"
    assert delay_of(creating, warning("Pod", "FailedMount", "x", about="another pod of this name")) is None
    assert delay_of(pod(RUNNING), event) is None


def test_a_quota_is_known_from_a_warning_about_the_job_whatever_the_pod_would_have_been_called():
    said = 'Error creating: pods "{}" is forbidden: exceeded quota: q, used: pods=1'
    first, second = (delay_of(None, warning("Job", "FailedCreate", said.format(name))) for name in ("a", "b"))
    assert first == second
    assert first.cause == "quota_exceeded"
    assert "exceeded quota: q" in first.message


def test_a_pod_that_the_cluster_refuses_is_known_from_a_warning_about_the_job():
    delay = delay_of(None, warning("Job", "FailedCreate", 'pods "a" is forbidden: violates PodSecurity "restricted"'))
    assert delay.cause == "launch_refused"
    assert 'violates PodSecurity "restricted"' in delay.message


def test_a_suspended_job_is_told():
    assert "suspended" in standing(job(condition("Suspended")), [], []).delay.message


def test_warnings_about_other_things_are_none_of_ours():
    other = {"metadata": meta("e"), "involvedObject": {"kind": "Pod", "name": "web-1"}}
    assert read_event(other) is None
