"""The Docker backend: a run worker is a container of one engine, which outlives its launcher.

What it knows it asks the engine, and it looks when the engine says that something happened. It decides nothing about
runs.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from dagwire_shared.ids import RunId

from dagwire_launcher.backend import Worker, WorkerDelay, WorkerEnd, WorkerOrder
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.docker.config import read_docker_config
from dagwire_launcher.docker.container import INSTANCE, RUN_ID, Blueprint, RunContainer, container_name
from dagwire_launcher.docker.engine import Engine
from dagwire_launcher.docker.maker import Maker
from dagwire_launcher.docker.states import DELETED
from dagwire_launcher.docker.wakes import Wakes
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_launcher.settings import Settings
from dagwire_launcher.surplus import surplus

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
"""Between two tries to reach an engine that is away."""

_TIDY_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSettings:
    """What the Docker backend needs to know."""

    blueprint: Blueprint
    credentials: WorkerCredentials
    address: str | None = None
    """The engine; None: ``DOCKER_HOST``, or the usual socket."""
    keep_runs: int
    keep_for: timedelta


class DockerBackend:
    """Run workers as containers."""

    name = "docker"
    steps = None
    """A step of its own container is for later."""

    def __init__(self, settings: DockerSettings) -> None:
        self._settings = settings
        self._instance = settings.blueprint.instance
        self._engine = Engine(settings.address)
        self._maker = Maker(self._engine, settings.blueprint)
        self._wakes = Wakes()
        self._trouble: str | None = "the Docker engine has not been asked yet"
        self._name: str | None = None
        # Settled by this process. What earlier ones settled is found again, and settled once more without a word.
        self._released: set[RunId] = set()

    @property
    def trouble(self) -> str | None:
        """Why the engine cannot be reached; None: it can."""
        return self._trouble

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Follow the engine, and remove old containers, while the context is open."""
        async with self._engine:
            tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._keep_house())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def create(self, order: WorkerOrder) -> Worker:
        """Create and start the container of a run, or return the one that was created before."""
        found = await self._maker.make(self._run_container(order))
        return self._worker(order.run_id, await self._engine_name(), found.created)

    def _run_container(self, order: WorkerOrder) -> RunContainer:
        if order.code.image is None:
            raise LaunchRefusedError(
                f"The code location {order.location} does not say which image its runs need: set"
                " DAGWIRE_CURRENT_IMAGE on its code server to the image that it runs in, and request a new run."
            )
        return RunContainer(
            run_id=order.run_id,
            job=order.job,
            location=order.location,
            image=order.code.image,
            pointer=order.code.pointer,
            message=order.message,
            credential=self._settings.credentials.environment(order.run_id),
        )

    async def workers(self) -> Sequence[Worker]:
        """Return the containers of this instance whose end is not settled."""
        engine = await self._engine_name()
        found = await self._engine.list(INSTANCE, self._instance)
        return [
            self._worker(one.run_id, engine, one.created)
            for one in found
            if one.run_id is not None and one.run_id not in self._released
        ]

    async def end_of(
        self,
        run_id: RunId,
        *,
        delayed: Callable[[WorkerDelay], None] | None = None,  # noqa: ARG002 -- it runs, or was refused
    ) -> WorkerEnd:
        """Wait for the end of the run's container, as the engine tells of it."""
        name = container_name(run_id)
        with self._wakes.of(run_id) as bell:
            while True:
                bell.clear()
                try:
                    found = await self._engine.find(name)
                except BackendUnavailableError:
                    # The bell rings when the engine is back; an engine that is there may have failed at this alone.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(bell.wait(), _LONGEST_PAUSE_SECONDS)
                    continue
                if found is None or found.has_ended:
                    return DELETED if found is None else found.end()
                await bell.wait()

    async def output_of(self, run_id: RunId) -> str:
        """Return the end of the container's log."""
        return await self._engine.tail(container_name(run_id))

    async def is_gone(self, run_id: RunId, name: str) -> bool:
        """Return whether the container does not run; one of another engine cannot be looked at."""
        if name.partition(":")[0] != await self._engine_name():
            return False
        found = await self._engine.find(container_name(run_id))
        return found is None or found.has_ended

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        """Send SIGTERM to the container's process, or SIGKILL to all that runs in it."""
        name = container_name(run_id)
        found = await self._engine.find(name)
        if found is not None and found.never_started:
            await self._engine.remove(name)
        else:
            await self._engine.kill(name, "SIGKILL" if force else "SIGTERM")

    async def release(self, run_id: RunId) -> None:
        """Let the run's container be removed in time."""
        self._released.add(run_id)
        await self._tidy()

    async def _tidy(self) -> None:
        """Remove what is too old or too much of what is settled."""
        try:
            found = [one for one in await self._engine.list(INSTANCE, self._instance) if not one.running]
            self._released.intersection_update({one.run_id for one in found})
            settled = [(one.created, one) for one in found if one.run_id in self._released]
            since = datetime.now(UTC) - self._settings.keep_for
            for one in surplus(settled, keep=self._settings.keep_runs, since=since):
                await self._engine.remove(one.id)
        except BackendUnavailableError as error:
            log.warning("old containers could not be removed", extra={"cause": str(error)})

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            await self._tidy()

    async def _follow(self) -> None:
        """Ring for whatever happens to our containers, for ever; for everybody after each time without a connection."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                said = await self._engine.info()
                since, self._name = datetime.fromisoformat(said["SystemTime"]), said["Name"]
                # The engine tells of what happened since then, too: what came before is seen by those who look now.
                self._trouble, pause = None, _FIRST_PAUSE_SECONDS
                self._wakes.ring_all()
                async for event in self._engine.follow(INSTANCE, self._instance, since=since):
                    self._wakes.ring(event["Actor"]["Attributes"].get(RUN_ID, ""))
                self._trouble = "the Docker engine closed the connection"
            except BackendUnavailableError as error:
                self._trouble = str(error)
            except Exception:  # a strange answer must not leave the launcher deaf
                log.exception("the Docker engine's word is not understood")
                self._trouble = "the Docker engine's word is not understood: see the log"
            log.warning("the Docker engine is not heard", extra={"cause": self._trouble, "again_in": pause})
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _engine_name(self) -> str:
        """Return what the engine's machine is called: a worker's name says where it is."""
        if self._name is None:
            self._name = (await self._engine.info())["Name"]
        return self._name

    @staticmethod
    def _worker(run_id: RunId, engine: str, created: datetime) -> Worker:
        return Worker(run_id, name=f"{engine}:{container_name(run_id)}", created=created.replace(microsecond=0))


def make_backend(settings: Settings) -> DockerBackend:
    """Return the backend, as the launcher's settings want it.

    Raises:
        SettingsError: the run config cannot be read, or is wrong.
    """
    blueprint = Blueprint(
        instance=settings.instance,
        network=settings.docker_network,
        config=read_docker_config(settings.run_config),
        log_bytes=settings.output_bytes,
    )
    return DockerBackend(
        DockerSettings(
            blueprint=blueprint,
            credentials=settings.credentials,
            address=settings.docker_host,
            keep_runs=settings.keep_runs,
            keep_for=timedelta(days=settings.keep_days),
        )
    )
