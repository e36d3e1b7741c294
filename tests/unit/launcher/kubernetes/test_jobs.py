"""What becomes of a Job as the watches tell of it, in whatever order they do. The cluster is a dictionary."""

import asyncio
import contextlib
from collections import defaultdict
from typing import Self

import pytest
from dagwire_launcher.errors import BackendUnavailableError
from dagwire_launcher.kubernetes.api import JOBS, PODS, Change
from dagwire_launcher.kubernetes.errors import ApiRefusedError
from dagwire_launcher.kubernetes.jobs import Jobs
from dagwire_shared.events import FailureCause

pytestmark = pytest.mark.timeout(20)

NAME = "dagwire-run-r"
POD = f"{NAME}-abcde"


class Cluster:
    """An API server that tells what it is told."""

    namespace = "n"

    def __init__(self) -> None:
        self.version = 0
        self.deleted = []
        self.deletion = asyncio.Event()
        self.output = ApiRefusedError(500, "", "the kubelet does not answer")
        self.told = defaultdict(asyncio.Queue)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def list(self, resource, **selectors):
        return [], "0"

    @contextlib.asynccontextmanager
    async def watch(self, resource, version, **selectors):
        yield self._play(self.told[resource.plural])

    async def _play(self, queue):
        while True:
            yield await queue.get()
            queue.task_done()

    async def delete(self, resource, name, **options):
        self.deleted.append((resource.plural, name, options.get("grace_seconds")))
        self.deletion.set()

    async def log(self, pod, container, **limits):
        if isinstance(self.output, Exception):
            raise self.output
        return self.output

    async def tell(self, resource, kind, name, **fields):
        """Have a watch tell of an object."""
        self.version += 1
        meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        meta |= {"creationTimestamp": "2026-11-01T12:00:00Z", "labels": {"batch.kubernetes.io/job-name": NAME}}
        content = {"metadata": {**meta, **fields.pop("metadata", {})}, "spec": {"containers": [{"name": "worker"}]}}
        queue = self.told[resource.plural]
        queue.put_nowait(Change(kind, {**content, **fields}))
        await queue.join()


def conditions(*kinds, reason=""):
    return {"conditions": [{"type": kind, "status": "True", "reason": reason, "message": ""} for kind in kinds]}


def worker(**state):
    return {"phase": "Running", "containerStatuses": [{"name": "worker", "image": "i", "state": state}]}


RUNNING = worker(running={})
KILLED = worker(terminated={"exitCode": 137, "reason": "OOMKilled", "message": "last words"})


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
async def jobs(cluster, monkeypatch):
    monkeypatch.setattr("dagwire_launcher.kubernetes.jobs._TIDY_SECONDS", 0.01)
    jobs = Jobs(cluster, instance="acme", keep=1)
    async with jobs.open():
        await jobs.all()
        await cluster.tell(JOBS, "ADDED", NAME)
        yield jobs


async def test_a_pod_whose_end_comes_after_that_of_its_job_still_says_why(jobs, cluster):
    await cluster.tell(JOBS, "MODIFIED", NAME, status=conditions("Failed", reason="BackoffLimitExceeded"))
    end = asyncio.create_task(jobs.end_of(NAME))
    await cluster.tell(PODS, "ADDED", POD, status=KILLED)
    assert (await end).cause is FailureCause.OUT_OF_MEMORY


async def test_a_job_that_says_after_its_pod_that_it_took_too_long_is_heard(jobs, cluster):
    await cluster.tell(PODS, "ADDED", POD, status=RUNNING)
    end = asyncio.create_task(jobs.end_of(NAME))
    gone = worker(terminated={"exitCode": 76, "reason": "Error"})
    await cluster.tell(PODS, "DELETED", POD, status=gone, metadata={"deletionTimestamp": "2026-11-01T12:01:00Z"})
    await cluster.tell(JOBS, "MODIFIED", NAME, status=conditions("FailureTarget", reason="DeadlineExceeded"))
    assert (await end).cause is FailureCause.DEADLINE_EXCEEDED


async def test_what_delays_a_worker_is_told_when_it_changes_and_when_it_is_over(jobs, cluster):
    told = []
    end = asyncio.create_task(jobs.end_of(NAME, delayed=told.append))
    for _ in range(2):
        await cluster.tell(PODS, "MODIFIED", POD, status=worker(waiting={"reason": "ErrImagePull", "message": "no"}))
    await cluster.tell(PODS, "MODIFIED", POD, status=RUNNING)
    await cluster.tell(PODS, "MODIFIED", POD, status=KILLED)
    await end
    assert [None if one is None else one.cause for one in told] == ["image_unavailable", None]


async def test_a_worker_that_has_ended_keeps_its_job(jobs, cluster):
    await cluster.tell(PODS, "ADDED", POD, status=KILLED)
    await jobs.stop(NAME, force=True)
    assert cluster.deleted == []


async def test_a_worker_that_is_ended_by_force_is_not_waited_for(jobs, cluster):
    await cluster.tell(PODS, "ADDED", POD, status=RUNNING)
    await jobs.stop(NAME, force=True)
    assert cluster.deleted == [("jobs", NAME, None), ("pods", POD, 0)]


@pytest.mark.parametrize("log", ["", ApiRefusedError(502, "", "the kubelet does not answer")])
async def test_without_a_log_the_kubelets_last_lines_are_the_output(jobs, cluster, log):
    cluster.output = log
    await cluster.tell(PODS, "ADDED", POD, status=KILLED)
    assert await jobs.output_of(NAME) == "last words"


async def test_without_any_lines_it_is_said_that_they_could_not_be_read(jobs, cluster):
    await cluster.tell(PODS, "ADDED", POD, status=RUNNING)
    with pytest.raises(BackendUnavailableError, match="the kubelet does not answer"):
        await jobs.output_of(NAME)


async def test_finished_jobs_beyond_those_that_are_kept_are_deleted_the_oldest_first(jobs, cluster):
    for name, second in (("dagwire-run-younger", 2), (NAME, 1)):
        created = {"creationTimestamp": f"2026-11-01T12:00:0{second}Z"}
        await cluster.tell(JOBS, "MODIFIED", name, status=conditions("Complete"), metadata=created)
        jobs.release(name)
    await cluster.deletion.wait()
    assert {name for _, name, _ in cluster.deleted} == {NAME}


async def test_nothing_is_remembered_of_what_is_gone(jobs, cluster):
    await cluster.tell(PODS, "ADDED", POD, status=KILLED)
    await jobs.end_of(NAME)
    jobs.release(NAME)
    await cluster.tell(PODS, "DELETED", POD, status=KILLED)
    await cluster.tell(JOBS, "DELETED", NAME)
    assert jobs._tracks == {}
