"""The Jobs of the launcher in a cluster: created, watched, ended and cleared away, by name. It knows no runs.

What it knows it is told by three watches: Jobs, their pods, warnings about both. ``causes`` says how a Job fares.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.errors import BackendUnavailableError
from dagwire_launcher.kubernetes import names
from dagwire_launcher.kubernetes.api import EVENTS, JOBS, PODS, Api
from dagwire_launcher.kubernetes.creation import create_job
from dagwire_launcher.kubernetes.errors import ApiError
from dagwire_launcher.kubernetes.informer import Informer
from dagwire_launcher.kubernetes.seen import SeenEvent, SeenJob, SeenPod, read_event, read_job, read_pod
from dagwire_launcher.kubernetes.track import Track
from dagwire_launcher.surplus import surplus

log = logging.getLogger(__name__)

OUTPUT_BYTES: Final = 16 * 1024
OUTPUT_LINES: Final = 200

_EVER: Final = datetime.min.replace(tzinfo=UTC)
"""Kubernetes removes finished Jobs by age; here they are counted."""
_SYNC_SECONDS: Final = 5.0
_EXPLAINED_SECONDS: Final = 1.0
"""How long it is waited for what a Job says of why its pod was deleted, or for the last word of a pod."""
_TIDY_SECONDS: Final = 10.0
_OUTLIVED: Final = timedelta(seconds=60)
"""After this a Job whose worker has ended is deleted if something else in its pod goes on."""


class Jobs:
    """The Jobs that launchers of one instance made."""

    def __init__(self, api: Api, *, instance: str, keep: int) -> None:
        """Prepare.

        Args:
            api: the API server.
            instance: whose Jobs.
            keep: how many finished ones are kept; Kubernetes removes them by age.
        """
        self._api = api
        self._keep = keep
        self._tracks: dict[str, Track] = {}
        ours = {"labelSelector": names.selector(instance)}
        self._jobs = Informer(api, JOBS, read_job, selectors=ours, changed=self._on_job)
        self._pods = Informer(api, PODS, read_pod, selectors=ours, changed=self._on_pod)
        self._events = Informer(
            api, EVENTS, read_event, selectors={"fieldSelector": "type=Warning"}, changed=self._on_event
        )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Watch, and clear away, while the context is open."""
        async with self._api, asyncio.TaskGroup() as group:
            work = (self._jobs.run(), self._pods.run(), self._events.run(), self._tidy())
            tasks = [group.create_task(one) for one in work]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    @property
    def trouble(self) -> str | None:
        """Why the cluster cannot be watched now; None: it can."""
        if not self._synced:
            return self._jobs.trouble or self._pods.trouble or "the cluster's Jobs and pods are being read"
        return self._jobs.trouble or self._pods.trouble

    @property
    def _synced(self) -> bool:
        return self._jobs.synced.is_set() and self._pods.synced.is_set()

    async def all(self) -> Sequence[SeenJob]:
        """Return every Job that is not released.

        Raises:
            BackendUnavailableError: the cluster has not been read yet.
        """
        try:
            async with asyncio.timeout(_SYNC_SECONDS):
                await self._jobs.synced.wait()
                await self._pods.synced.wait()
        except TimeoutError:
            raise BackendUnavailableError(self.trouble or "the cluster has not answered yet") from None
        return [one.job for one in self._tracks.values() if one.job is not None and one.released is None]

    async def create(self, manifest: Mapping[str, Any]) -> SeenJob:
        """Create a Job, or return the one of its name if it is the same worker's; raises like ``create_job``."""
        raw = await create_job(self._api, manifest)
        self._jobs.put(raw)
        return read_job(raw)

    async def end_of(self, name: str, *, delayed: Callable[[WorkerDelay | None], None] | None = None) -> WorkerEnd:
        """Wait until the worker of a Job has ended, and return how; tell what delays it meanwhile."""
        track = self._track(name)
        track.wanted = True
        told: WorkerDelay | None = None
        waited = False
        while True:
            changed = track.changed
            now = track.standing
            if now.unexplained and not waited:
                await self._until_explained(track)
                waited = True
                continue
            if now.end is not None:
                return now.end
            if now.delay != told:
                told = now.delay
                if delayed is not None:
                    delayed(told)
            await changed.wait()

    async def _until_explained(self, track: Track) -> None:
        """Wait a while for the word that explains why a Job or its pod is gone; longer while a watch is broken."""
        deadline = time.monotonic() + _EXPLAINED_SECONDS
        while (left := deadline - time.monotonic()) > 0 or self.trouble is not None:
            changed = track.changed
            if not track.standing.unexplained:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), max(left, _EXPLAINED_SECONDS / 2))

    async def output_of(self, name: str) -> str:
        """Return the last lines that a Job's worker wrote; empty if nothing is left.

        Raises:
            BackendUnavailableError: the cluster could not be asked.
        """
        pods = self._track(name).in_order
        if not pods:
            return ""
        # The pod or its node may be gone; what the kubelet told of its output is not.
        pod = pods[-1]
        kept = pod.worker.ended.message if pod.worker is not None and pod.worker.ended is not None else ""
        try:
            return await self._api.log(pod.name, names.CONTAINER, lines=OUTPUT_LINES, size=OUTPUT_BYTES) or kept
        except ApiError as error:
            if kept:
                return kept
            raise BackendUnavailableError(str(error)) from error

    async def is_gone(self, name: str) -> bool:
        """Return whether neither the Job nor a living pod of it is there, asking the server.

        Raises:
            BackendUnavailableError: the cluster could not be asked.
        """
        try:
            if await self._api.read(JOBS, name) is not None:
                return False
            pods, _ = await self._api.list(PODS, labelSelector=f"{names.JOB_OF_POD}={name}")
        except ApiError as error:
            raise BackendUnavailableError(str(error)) from error
        return all(read_pod(raw).over for raw in pods)

    async def stop(self, name: str, *, force: bool) -> None:
        """Delete a Job and its pods; with ``force`` without waiting for them, or for a node that is away.

        A Job whose worker has ended is left for inspection.

        Raises:
            BackendUnavailableError: the cluster could not be asked.
        """
        track = self._track(name)
        if track.standing.end is not None:
            return
        try:
            if track.job is not None:
                await self._api.delete(JOBS, name, uid=track.job.uid)
            if force:
                for pod in track.in_order:
                    await self._api.delete(PODS, pod.name, uid=pod.uid, grace_seconds=0)
        except ApiError as error:
            raise BackendUnavailableError(str(error)) from error

    def release(self, name: str) -> None:
        """Say that nobody is interested in a Job any more: it may be cleared away in time."""
        track = self._tracks.get(name)
        if track is not None:
            track.released = datetime.now(UTC)
            self._forget_if_done(name, track)

    # --- what the watches tell ----------------------------------------------------------------------------------

    def _track(self, name: str) -> Track:
        return self._tracks.setdefault(name, Track())

    def _on_job(self, job: SeenJob, gone: bool) -> None:  # noqa: FBT001 -- the informer's signature
        track = self._track(job.name)
        track.job = None if gone else job
        self._told(job.name, track)

    def _on_pod(self, pod: SeenPod, gone: bool) -> None:  # noqa: FBT001 -- as above
        track = self._track(pod.job)
        track.pods[pod.name] = replace(pod, gone=gone)
        self._told(pod.job, track)

    def _on_event(self, event: SeenEvent, gone: bool) -> None:  # noqa: FBT001 -- as above
        track = self._tracks.get(event.job)
        if gone:
            if track is not None:
                track.events.pop(event.name, None)
                self._told(event.job, track)
            return
        track = self._track(event.job)
        track.events[event.name] = event
        self._told(event.job, track)

    def _told(self, name: str, track: Track) -> None:
        track.tell()
        self._forget_if_done(name, track)

    def _forget_if_done(self, name: str, track: Track) -> None:
        if track.done:
            self._tracks.pop(name, None)

    # --- clearing away ------------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            for job in self._surplus():
                try:
                    await self._api.delete(JOBS, job.name, uid=job.uid)
                except ApiError as error:
                    log.warning("finished jobs are cleared away later", extra={"cause": str(error)})
                    break

    def _surplus(self) -> list[SeenJob]:
        """Return the Jobs to delete: finished ones beyond those that are kept, and what goes on without its worker."""
        now = datetime.now(UTC)
        released = [(one.released, one.job) for one in self._tracks.values() if one.released is not None and one.job]
        finished = [(job.created, job) for _, job in released if job.finished]
        outlived = [job for at, job in released if not job.finished and now - at > _OUTLIVED]
        return [job for job in (*surplus(finished, keep=self._keep, since=_EVER), *outlived) if not job.deleting]
