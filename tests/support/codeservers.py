"""A code server without user code: a real gRPC server whose definitions and answers a test decides."""

# ruff: noqa: N802 -- gRPC names its methods so
import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import grpc
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_protos.codeserver.v1.code_server_pb2_grpc import CodeServerServicer, add_CodeServerServicer_to_server
from dagwire_shared.locations import CodeServer
from grpc import aio

Evaluate = Callable[[str, datetime], Awaitable[pb.EvaluateScheduleResponse]]


def a_schedule(name: str = "nightly", cron: str | Sequence[str] = "0 2 * * *", **fields: object) -> pb.Schedule:
    """Return a schedule that runs job ``etl``, on unless said otherwise."""
    crons = [cron] if isinstance(cron, str) else list(cron)
    return pb.Schedule(name=name, cron_schedules=crons, **{"job": "etl", "default_running": True, **fields})


def a_repository(*schedules: pb.Schedule, name: str = "main", jobs: Sequence[str] = ("etl",)) -> pb.Repository:
    """Return a repository with these schedules and jobs."""
    return pb.Repository(name=name, jobs=[pb.Job(name=job) for job in jobs], schedules=schedules)


async def one_run(schedule: str, scheduled_time: datetime) -> pb.EvaluateScheduleResponse:
    """Ask for one run, as most schedules do."""
    return pb.EvaluateScheduleResponse(run_requests=[pb.RunRequest(job="etl")])


class FakeCodeServer(CodeServerServicer):
    """Serves what the test sets, on one port that it keeps over ``stop`` and ``start``."""

    def __init__(self, *repositories: pb.Repository, evaluate: Evaluate = one_run, name: str = "code") -> None:
        self.name = name
        self.port = 0
        self.evaluate = evaluate
        self.evaluations: list[tuple[str, datetime]] = []
        self.watchers = 0
        self.unwatched = asyncio.Event()
        self._changed = asyncio.Condition()
        self._server: aio.Server | None = None
        self._set(repositories, None)

    @property
    def address(self) -> CodeServer:
        return CodeServer(name=self.name, host="127.0.0.1", port=self.port)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = aio.server(
            options=[("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 10_000)]
        )
        add_CodeServerServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Go away at once, as a killed process does."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    async def define(self, *repositories: pb.Repository) -> None:
        """Serve other definitions, and tell who watches."""
        async with self._changed:
            self._set(repositories, None)
            self._changed.notify_all()

    async def fail(self, message: str) -> None:
        """Serve a load error, and tell who watches."""
        async with self._changed:
            self._set((), pb.Error(type="SyntaxError", message=message, stack=["File repo.py, line 1"]))
            self._changed.notify_all()

    def _set(self, repositories: Sequence[pb.Repository], error: pb.Error | None) -> None:
        digest = hashlib.sha256(b"".join(found.SerializeToString(deterministic=True) for found in repositories))
        version = "" if error is not None else digest.hexdigest()
        self._state = pb.DefinitionsState(definitions_hash=version, load_error=error)
        self._state.loaded_at.FromDatetime(datetime.now(UTC))
        self._repositories: Mapping[str, pb.Repository] = {}
        if error is None:
            for found in repositories:
                found.definitions_hash = version
            self._repositories = {found.name: found for found in repositories}

    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: aio.ServicerContext) -> pb.ServerInfo:
        pointer = pb.CodePointer(python_file="/code/repo.py", working_directory="/code", executable="/usr/bin/python3")
        return pb.ServerInfo(code_pointer=pointer, dagwire_version="0", definitions=self._state)

    async def ListRepositories(
        self, request: pb.ListRepositoriesRequest, context: aio.ServicerContext
    ) -> pb.ListRepositoriesResponse:
        names = [pb.RepositoryName(name=name) for name in self._repositories]
        return pb.ListRepositoriesResponse(repositories=names, definitions=self._state)

    async def GetRepository(self, request: pb.GetRepositoryRequest, context: aio.ServicerContext) -> pb.Repository:
        if request.repository not in self._repositories:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no repository {request.repository!r}")
        return self._repositories[request.repository]

    async def GetJob(self, request: pb.GetJobRequest, context: aio.ServicerContext) -> pb.Job:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not needed here")
        raise AssertionError

    async def ValidateRunConfig(
        self, request: pb.ValidateRunConfigRequest, context: aio.ServicerContext
    ) -> pb.ValidateRunConfigResponse:
        if request.job != "etl":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no job {request.job!r}")
        return pb.ValidateRunConfigResponse(run_config_json=request.run_config_json)

    async def GetExecutionPlan(
        self, request: pb.GetExecutionPlanRequest, context: aio.ServicerContext
    ) -> pb.ExecutionPlan:
        if request.run_config_json != "{}":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "ops: no such op")
        return pb.ExecutionPlan(steps=[pb.Step(key="load")])

    async def EvaluateSchedule(
        self, request: pb.EvaluateScheduleRequest, context: aio.ServicerContext
    ) -> pb.EvaluateScheduleResponse:
        scheduled_time = request.scheduled_time.ToDatetime(tzinfo=UTC)
        self.evaluations.append((request.schedule, scheduled_time))
        return await self.evaluate(request.schedule, scheduled_time)

    async def Watch(self, request: pb.WatchRequest, context: aio.ServicerContext) -> AsyncIterator[pb.DefinitionsState]:
        self.watchers += 1
        self.unwatched.clear()
        try:
            told = None
            while True:
                async with self._changed:
                    while self._state is told:
                        await self._changed.wait()
                    told = self._state
                yield told
        finally:
            self.watchers -= 1
            if not self.watchers:
                self.unwatched.set()


@asynccontextmanager
async def running(coroutine: Awaitable[None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run something in the background; its failure fails the test."""
    task = asyncio.ensure_future(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
