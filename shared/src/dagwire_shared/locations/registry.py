"""All code locations of a workspace: their states, their changes, and questions by location name."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb

from dagwire_shared.locations.client import QUESTION_DEADLINE, Client
from dagwire_shared.locations.errors import NotFoundError
from dagwire_shared.locations.state import Location
from dagwire_shared.locations.watcher import Watcher
from dagwire_shared.locations.workspace import CodeServer
from dagwire_shared.model import Json


class _Listener:
    """The locations that one reader has yet to see: each at most once, however slow the reader is."""

    def __init__(self, names: Sequence[str]) -> None:
        self._unseen = dict.fromkeys(names)
        self._some = asyncio.Event()
        if names:
            self._some.set()

    def tell(self, name: str) -> None:
        self._unseen[name] = None
        self._some.set()

    async def next(self) -> str:
        while not self._unseen:
            self._some.clear()
            await self._some.wait()
        name = next(iter(self._unseen))
        del self._unseen[name]
        return name


class Locations:
    """The code locations of a workspace. They are followed while ``run`` runs."""

    def __init__(self, servers: Sequence[CodeServer]) -> None:
        self._watchers = {server.name: Watcher(server, self._tell) for server in servers}
        self._listeners: set[_Listener] = set()

    async def run(self) -> None:
        """Follow every code server until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, watcher in self._watchers.items():
                tasks.create_task(watcher.run(), name=f"watch {name}")

    @property
    def current(self) -> Mapping[str, Location]:
        """What is known of each location now, in the order of the workspace file."""
        return {name: watcher.location for name, watcher in self._watchers.items()}

    def get(self, name: str) -> Location:
        """Return what is known of a location now.

        Raises:
            NotFoundError: the workspace has no such location.
        """
        return self._watcher(name).location

    async def changes(self) -> AsyncIterator[Location]:
        """Yield every location once, then each again when it changed, without end.

        A slow reader misses states in between, never the last one. Any number may read at the same time.
        """
        listener = _Listener(list(self._watchers))
        self._listeners.add(listener)
        try:
            while True:
                yield self.get(await listener.next())
        finally:
            self._listeners.discard(listener)

    async def validate_run_config(
        self,
        location: str,
        repository: str,
        job: str,
        *,
        preset: str | None = None,
        run_config: Json | None = None,
        deadline: timedelta = QUESTION_DEADLINE,
    ) -> pb.ValidateRunConfigResponse:
        """Ask whether a run config, laid over the preset's, fits a job.

        Raises:
            LocationError: no answer; ``locations.errors`` names the cases.
        """
        client = self._client(location)
        config = run_config or {}
        return await client.validate_run_config(repository, job, preset=preset, run_config=config, deadline=deadline)

    async def execution_plan(
        self,
        location: str,
        repository: str,
        job: str,
        *,
        preset: str | None = None,
        run_config: Json | None = None,
        deadline: timedelta = QUESTION_DEADLINE,
    ) -> pb.ExecutionPlan:
        """Ask for the steps of a run, in topological order.

        Raises:
            LocationError: no answer; InvalidRequestError when the config does not fit.
        """
        client = self._client(location)
        config = run_config or {}
        return await client.execution_plan(repository, job, preset=preset, run_config=config, deadline=deadline)

    async def evaluate_schedule(
        self,
        location: str,
        repository: str,
        schedule: str,
        *,
        scheduled_time: datetime,
        deadline: timedelta = QUESTION_DEADLINE,
    ) -> pb.EvaluateScheduleResponse:
        """Ask what a schedule wants at one tick; what user code raised is in the answer.

        Raises:
            LocationError: no answer.
        """
        client = self._client(location)
        return await client.evaluate_schedule(repository, schedule, scheduled_time=scheduled_time, deadline=deadline)

    def _client(self, name: str) -> Client:
        return self._watcher(name).client

    def _watcher(self, name: str) -> Watcher:
        found = self._watchers.get(name)
        if found is None:
            known = ", ".join(self._watchers) or "none"
            raise NotFoundError(f"there is no code location {name!r}; the workspace has: {known}")
        return found

    def _tell(self, location: Location) -> None:
        for listener in self._listeners:
            listener.tell(location.name)
