"""The step backend of the Kubernetes backend: a step's worker is a Job that belongs to the Job of its run.

So Kubernetes removes it with that. What it runs is what the run's Job was given; nothing else is remembered of the run.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dagwire_shared.errors import InvalidIdentifierError, MalformedMessageError
from dagwire_shared.ids import RunId, check_run_id

from dagwire_launcher.backend import WorkerDelay, WorkerEnd, WorkerOrder
from dagwire_launcher.command import unpack_launch
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.kubernetes import names
from dagwire_launcher.kubernetes.api import JOBS, Api, Raw
from dagwire_launcher.kubernetes.errors import ApiError
from dagwire_launcher.kubernetes.jobs import Jobs
from dagwire_launcher.kubernetes.layers import RunConfig
from dagwire_launcher.kubernetes.manifest import Owner, job_manifest, step_worker
from dagwire_launcher.stepname import StepOrder, StepWorker
from dagwire_launcher.workerorder import order_again

_KEPT: Final = 256
"""Of how many runs it is kept what their Jobs were given: the steps of a run ask for it one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettings:
    """What step Jobs have in common."""

    instance: str
    run_config: RunConfig
    credentials: WorkerCredentials
    ttl_seconds: int


class KubernetesSteps:
    """Step workers as Jobs: see ``backend.StepBackend``."""

    def __init__(self, api: Api, jobs: Jobs, settings: StepSettings) -> None:
        self._api = api
        self._jobs = jobs
        self._settings = settings
        self._runs: OrderedDict[RunId, tuple[WorkerOrder, Owner]] = OrderedDict()

    async def create(self, order: StepOrder) -> None:
        """Create the Job of a step, unless it is there."""
        run_id, settings = order.name.run_id, self._settings
        run, owner = await self._run(run_id)
        config = settings.run_config.of_step(run, order.name.step_key, order.container_config)
        worker = step_worker(
            run,
            order.name,
            config,
            credential=settings.credentials.environment(run_id),
            instance=settings.instance,
            ttl_seconds=settings.ttl_seconds,
        )
        await self._jobs.create(job_manifest(worker, config, owner=owner))

    async def _run(self, run_id: RunId) -> tuple[WorkerOrder, Owner]:
        """Return what a run's Job was made from, and the Job as the owner of others."""
        if run_id not in self._runs:
            name = names.run_job_name(run_id)
            try:
                raw = await self._api.read(JOBS, name)
            except ApiError as error:
                raise BackendUnavailableError(str(error)) from error
            if raw is None:
                raise LaunchRefusedError(f"The Job of the run, {name}, is not there any more.")
            self._runs[run_id] = order_again(_launch_message(raw)), Owner(name, raw["metadata"]["uid"])
            if len(self._runs) > _KEPT:
                self._runs.popitem(last=False)
        return self._runs[run_id]

    async def workers(self) -> Sequence[StepWorker]:
        """Return the step workers whose end is not settled, as the cluster's Jobs tell."""
        found = []
        for job in await self._jobs.all():
            if job.labels.get(names.COMPONENT) == names.STEP_WORKER:
                # What bears our labels and no run's id is none of ours.
                with contextlib.suppress(InvalidIdentifierError):
                    found.append(StepWorker(check_run_id(job.labels.get(names.RUN_ID, "")), job.name))
        return found

    async def end_of(
        self, worker: StepWorker, *, delayed: Callable[[WorkerDelay | None], None] | None = None
    ) -> WorkerEnd:
        """Wait for the end of the worker in the step's pod."""
        return await self._jobs.end_of(worker.name, delayed=delayed)

    async def output_of(self, worker: StepWorker) -> str:
        """Return the end of the pod's log."""
        return await self._jobs.output_of(worker.name)

    async def stop(self, worker: StepWorker, *, force: bool) -> None:
        """Delete the Job; its pod is told to end, or with ``force`` ended."""
        await self._jobs.stop(worker.name, force=force)

    async def release(self, worker: StepWorker) -> None:
        """Let the finished Job be cleared away when there are too many; it goes with its run's at the latest."""
        self._jobs.release(worker.name)


def _launch_message(job: Raw) -> bytes:
    """Return the launch message that a run's Job carries in its environment.

    Raises:
        LaunchRefusedError: it carries none.
    """
    containers: Sequence[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"]
    worker = next((one for one in containers if one["name"] == names.CONTAINER), {})
    variables = {one["name"]: one["value"] for one in worker.get("env", []) if "value" in one}
    try:
        return unpack_launch(variables)
    except MalformedMessageError as error:
        raise LaunchRefusedError(f"Job {job['metadata']['name']} is no run's: {error}") from error
