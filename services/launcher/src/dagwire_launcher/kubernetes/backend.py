"""The Kubernetes backend: a run worker is a Job, named after its run. It maps runs to ``jobs``, and decides nothing."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.ids import RunId, check_run_id

from dagwire_launcher.backend import Worker, WorkerDelay, WorkerEnd, WorkerOrder
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.kubernetes import names
from dagwire_launcher.kubernetes.access import Connect, own_namespace, read_access
from dagwire_launcher.kubernetes.api import Api
from dagwire_launcher.kubernetes.jobs import Jobs
from dagwire_launcher.kubernetes.layers import RunConfig
from dagwire_launcher.kubernetes.manifest import job_manifest, run_worker
from dagwire_launcher.kubernetes.seen import SeenJob
from dagwire_launcher.kubernetes.steps import KubernetesSteps, StepSettings
from dagwire_launcher.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """What the Kubernetes backend needs to know."""

    namespace: str
    instance: str
    run_config: RunConfig
    credentials: WorkerCredentials
    keep_runs: int
    keep_for: timedelta


class KubernetesBackend:
    """Run workers as Jobs of a cluster."""

    name = "kubernetes"

    def __init__(self, settings: KubernetesSettings, *, connect: Connect = read_access) -> None:
        self._settings = settings
        api = Api(settings.namespace, connect)
        self._jobs = Jobs(api, instance=settings.instance, keep=settings.keep_runs)
        self._ttl_seconds = int(settings.keep_for.total_seconds())
        self.steps: Final = KubernetesSteps(
            api,
            self._jobs,
            StepSettings(
                instance=settings.instance,
                run_config=settings.run_config,
                credentials=settings.credentials,
                ttl_seconds=self._ttl_seconds,
            ),
        )

    @property
    def trouble(self) -> str | None:
        """Why the cluster cannot be watched now."""
        return self._jobs.trouble

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Watch the cluster while the context is open; it need not be there yet.

        Raises:
            SettingsError: nothing says how it is reached.
        """
        async with self._jobs.open():
            yield

    async def create(self, order: WorkerOrder) -> Worker:
        """Create the Job of a run, or return the one that is there."""
        settings = self._settings
        config = settings.run_config.of(order)
        worker = run_worker(
            order,
            config,
            credential=settings.credentials.environment(order.run_id),
            instance=settings.instance,
            ttl_seconds=self._ttl_seconds,
        )
        return _worker(order.run_id, await self._jobs.create(job_manifest(worker, config)))

    async def workers(self) -> Sequence[Worker]:
        """Return the workers whose end is not settled, as the cluster's Jobs tell."""
        found = []
        for job in await self._jobs.all():
            if job.labels.get(names.COMPONENT) != names.RUN_WORKER:
                continue
            # What bears our labels and no run's id is none of ours.
            with contextlib.suppress(InvalidIdentifierError):
                found.append(_worker(check_run_id(job.labels.get(names.RUN_ID, "")), job))
        return found

    async def end_of(self, run_id: RunId, *, delayed: Callable[[WorkerDelay | None], None] | None = None) -> WorkerEnd:
        """Wait for the end of the worker in the run's pod."""
        return await self._jobs.end_of(names.run_job_name(run_id), delayed=delayed)

    async def output_of(self, run_id: RunId) -> str:
        """Return the end of the pod's log."""
        return await self._jobs.output_of(names.run_job_name(run_id))

    async def is_gone(self, run_id: RunId, name: str) -> bool:  # noqa: ARG002 -- the name follows from the run id
        """Return whether neither the Job nor its pod is there."""
        return await self._jobs.is_gone(names.run_job_name(run_id))

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        """Delete the Job; its pod is told to end, or with ``force`` ended."""
        await self._jobs.stop(names.run_job_name(run_id), force=force)

    async def release(self, run_id: RunId) -> None:
        """Let the finished Job be cleared away when there are too many."""
        self._jobs.release(names.run_job_name(run_id))


def _worker(run_id: RunId, job: SeenJob) -> Worker:
    return Worker(run_id, name=job.name, created=job.created)


def make_backend(settings: Settings) -> KubernetesBackend:
    """Return the backend, as the launcher's settings want it.

    Raises:
        SettingsError: the run config cannot be read, or is wrong.
    """
    return KubernetesBackend(
        KubernetesSettings(
            namespace=settings.namespace or own_namespace(),
            instance=settings.instance,
            run_config=RunConfig.read(settings.run_config),
            credentials=settings.credentials,
            keep_runs=settings.keep_runs,
            keep_for=timedelta(days=settings.keep_days),
        )
    )
