"""Makes a run's container, whatever was done before: creates it, pulls its image, starts it. Watches nothing."""

import logging
from collections.abc import Mapping
from typing import Any

from dagwire_shared.events import FailureCause
from dagwire_shared.ids import RunId

from dagwire_launcher.docker.container import INSTANCE, Blueprint, RunContainer, container_name, creation
from dagwire_launcher.docker.engine import Engine, EngineRefusedError
from dagwire_launcher.docker.states import Container
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError

log = logging.getLogger(__name__)


class Maker:
    """Makes containers on one engine."""

    def __init__(self, engine: Engine, blueprint: Blueprint) -> None:
        self._engine = engine
        self._blueprint = blueprint

    async def make(self, run: RunContainer) -> Container:
        """Return the run's container, created and started by now, or by somebody before.

        Raises:
            LaunchRefusedError: there is no image, or the engine will not have it so, or the name is somebody else's.
            BackendUnavailableError: how far it came is unknown; ask again.
        """
        name = container_name(run.run_id)
        await self._create(name, run)
        found = await self._own(name, run.run_id)
        if not found.never_started:
            return found
        await self._start(name, run)
        return await self._own(name, run.run_id)

    async def _create(self, name: str, run: RunContainer) -> None:
        wanted = creation(run, self._blueprint)
        try:
            if not await self._is_there(name, wanted):
                await self._pull(run.image)
                await self._is_there(name, wanted)
        except EngineRefusedError as error:
            raise LaunchRefusedError(
                f"Docker refuses the container: {error}", cause=FailureCause.CONTAINER_CONFIG
            ) from error

    async def _is_there(self, name: str, wanted: Mapping[str, Any]) -> bool:
        """Create the container unless there is one; return False if its image is missing."""
        try:
            await self._engine.create(name, wanted)
        except EngineRefusedError as error:
            if error.not_found:
                return False
            if not error.in_conflict:
                raise
        return True

    async def _pull(self, image: str) -> None:
        log.info("image is pulled", extra={"image": image})
        try:
            await self._engine.pull(image)
        except EngineRefusedError as error:
            raise LaunchRefusedError(
                f"Docker has no image {image} and cannot pull it: {error}", cause=FailureCause.IMAGE_UNAVAILABLE
            ) from error

    async def _own(self, name: str, run_id: RunId) -> Container:
        found = await self._engine.find(name)
        if found is None:
            raise BackendUnavailableError(f"the container {name} is being made or removed by somebody else")
        if not found.is_worker_of(run_id, self._blueprint.instance):
            raise LaunchRefusedError(
                f"There is a container {name} already, which is not of the instance {self._blueprint.instance}: its"
                f" label {INSTANCE} is {found.instance or 'missing'}. Remove it, and request a new run."
            )
        return found

    async def _start(self, name: str, run: RunContainer) -> None:
        try:
            await self._engine.start(name)
        except EngineRefusedError as error:
            await self._engine.remove(name)
            raise LaunchRefusedError(
                f"Docker cannot start a container of the image {run.image}: {error}",
                cause=FailureCause.CONTAINER_CONFIG,
            ) from error
