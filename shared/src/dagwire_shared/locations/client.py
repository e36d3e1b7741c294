"""One connection to a code server: its calls, with deadlines and typed errors. Keeps no state of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, NoReturn, Self, TypeVar

import grpc
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_protos.codeserver.v1.code_server_pb2_grpc import CodeServerStub
from grpc import aio

from dagwire_shared.locations.errors import (
    CodeServerError,
    InvalidRequestError,
    LocationError,
    LocationTimeoutError,
    LocationUnavailableError,
    NotFoundError,
)
from dagwire_shared.locations.state import Snapshot
from dagwire_shared.locations.workspace import CodeServer
from dagwire_shared.model import Json

DEFINITIONS_DEADLINE: Final = timedelta(seconds=60)
"""For all definitions of a location: large repositories take seconds."""
QUESTION_DEADLINE: Final = timedelta(seconds=60)
"""For an answer that user code computes."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", 100 * 1024 * 1024),
    ("grpc.max_send_message_length", 100 * 1024 * 1024),
    # A dead machine or a dropped connection shows within half a minute, although Watch is silent for days.
    # The server must permit it: grpc.http2.min_ping_interval_without_data_ms at most 20,000.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # a minute otherwise, whatever the line above says
    ("grpc.http2.max_pings_without_data", 0),
    # Each connection tries at once: the watcher, not the channel, decides when to try again.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)
_TRIES: Final = 5

_Answer = TypeVar("_Answer")

_ERRORS: Final[dict[grpc.StatusCode, type[LocationError]]] = {
    grpc.StatusCode.UNAVAILABLE: LocationUnavailableError,
    grpc.StatusCode.CANCELLED: LocationUnavailableError,
    grpc.StatusCode.ABORTED: LocationUnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LocationUnavailableError,
    grpc.StatusCode.FAILED_PRECONDITION: LocationUnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: LocationTimeoutError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
}


class Client:
    """An open channel to a code server. Use it as an async context manager."""

    def __init__(self, server: CodeServer) -> None:
        self._server = server
        self._channel: aio.Channel | None = None

    async def __aenter__(self) -> Self:
        address = self._server.address
        self._channel = (
            aio.secure_channel(address, grpc.ssl_channel_credentials(), options=OPTIONS)
            if self._server.ssl
            else aio.insecure_channel(address, options=OPTIONS)
        )
        self._stub = CodeServerStub(self._channel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            await self._channel.close()

    async def watch(self) -> AsyncIterator[pb.DefinitionsState]:
        """Yield the state of the definitions: once at the start, then at each change.

        Raises:
            LocationError: the server is away; also when it ends the stream.
        """
        try:
            async for state in self._stub.Watch(pb.WatchRequest()):
                yield state
        except aio.AioRpcError as error:
            self._fail("its definitions", error)
        raise LocationUnavailableError(f"{self._who} has ended the connection: it is stopping")

    async def snapshot(self) -> Snapshot:
        """Return all definitions, of one and the same version."""
        for _ in range(_TRIES):
            snapshot = await self._definitions()
            if snapshot is not None:
                return snapshot
        raise LocationUnavailableError(f"{self._who} changes its definitions faster than they can be read")

    async def validate_run_config(
        self, repository: str, job: str, *, preset: str | None, run_config: Json, deadline: timedelta
    ) -> pb.ValidateRunConfigResponse:
        """Ask whether a run config fits a job."""
        request = pb.ValidateRunConfigRequest(
            repository=repository, job=job, preset=preset, run_config_json=json.dumps(run_config)
        )
        seconds = deadline.total_seconds()
        return await self._ask(f"job {job}", self._stub.ValidateRunConfig(request, timeout=seconds))

    async def execution_plan(
        self, repository: str, job: str, *, preset: str | None, run_config: Json, deadline: timedelta
    ) -> pb.ExecutionPlan:
        """Ask for the steps of a run."""
        request = pb.GetExecutionPlanRequest(
            repository=repository, job=job, preset=preset, run_config_json=json.dumps(run_config)
        )
        seconds = deadline.total_seconds()
        return await self._ask(f"job {job}", self._stub.GetExecutionPlan(request, timeout=seconds))

    async def evaluate_schedule(
        self, repository: str, schedule: str, *, scheduled_time: datetime, deadline: timedelta
    ) -> pb.EvaluateScheduleResponse:
        """Ask what a schedule wants at one tick."""
        request = pb.EvaluateScheduleRequest(repository=repository, schedule=schedule)
        request.scheduled_time.FromDatetime(scheduled_time)
        seconds = deadline.total_seconds()
        return await self._ask(f"schedule {schedule}", self._stub.EvaluateSchedule(request, timeout=seconds))

    @property
    def _who(self) -> str:
        return f"the code server of {self._server.name!r} at {self._server.address}"

    async def _definitions(self) -> Snapshot | None:
        """Return the definitions, or None when they changed while they were read."""
        seconds = DEFINITIONS_DEADLINE.total_seconds()
        what = "its definitions"
        server = await self._ask(what, self._stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=seconds))
        if server.definitions.HasField("load_error"):
            return Snapshot(server=server, repositories=())
        listed = await self._ask(what, self._stub.ListRepositories(pb.ListRepositoriesRequest(), timeout=seconds))
        requests = [pb.GetRepositoryRequest(repository=entry.name) for entry in listed.repositories]
        try:
            repositories = await asyncio.gather(
                *(self._ask(what, self._stub.GetRepository(request, timeout=seconds)) for request in requests)
            )
        except NotFoundError:
            return None
        hashes = {listed.definitions.definitions_hash} | {found.definitions_hash for found in repositories}
        if hashes != {server.definitions.definitions_hash}:
            return None
        return Snapshot(server=server, repositories=tuple(repositories))

    async def _ask(self, what: str, call: Awaitable[_Answer]) -> _Answer:
        try:
            return await call
        except aio.AioRpcError as error:
            self._fail(what, error)

    def _fail(self, what: str, error: aio.AioRpcError) -> NoReturn:
        raised = _ERRORS.get(error.code(), CodeServerError)
        raise raised(f"{self._who}, asked about {what}: {error.details() or error.code().name}") from error
