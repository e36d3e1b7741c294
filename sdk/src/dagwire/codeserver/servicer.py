"""Answers every call of the code server's API. What is loaded: ``definitions``; what user code says: ``questions``."""

import logging
import platform
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, NoReturn, TypeVar

import grpc
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_protos.codeserver.v1.code_server_pb2_grpc import CodeServerServicer
from dagwire_shared.events.values import ErrorInfo
from dagwire_shared.records import CodePointer
from grpc.aio import ServicerContext

from dagwire.code import Code, DefinitionNotFoundError
from dagwire.codeserver import answers, questions
from dagwire.codeserver.definitions import Definitions, Loaded
from dagwire.codeserver.threads import UserCode, UserCodeTimeoutError

log = logging.getLogger(__name__)

T = TypeVar("T")
Context = ServicerContext[Any, Any]

_MARGIN_SECONDS: Final = 0.5
"""An answer that says what hung must still reach a client that waits no longer than its own deadline."""
_REFUSALS: Final[dict[type[Exception], grpc.StatusCode]] = {
    DefinitionNotFoundError: grpc.StatusCode.NOT_FOUND,
    answers.BadRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UserCodeTimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the server says of itself."""

    pointer: CodePointer
    image: str = ""
    container_context: str = ""
    """What run pods of this location shall be like, as JSON."""
    libraries: tuple[str, ...] = ()
    """Distributions whose versions are told beside Dagwire's own."""

    def message(self, state: pb.DefinitionsState) -> pb.ServerInfo:
        """Return the server's description."""
        names = ("dagwire", "dagwire-shared", "dagwire-protos", *self.libraries)
        return pb.ServerInfo(
            code_pointer=answers.pointer(self.pointer),
            image=self.image,
            dagwire_version=_version("dagwire"),
            python_version=platform.python_version(),
            library_versions={name: found for name in names if (found := _version(name))},
            definitions=state,
            container_context_json=self.container_context,
        )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


class Servicer(CodeServerServicer):
    """The calls. Each works on one load of the code from beginning to end."""

    def __init__(self, definitions: Definitions, user_code: UserCode, identity: Identity) -> None:
        """Answer from ``definitions``, calling user code by ``user_code``."""
        self._definitions = definitions
        self._user_code = user_code
        self._identity = identity

    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Context) -> pb.ServerInfo:  # noqa: ARG002, N802 -- gRPC's
        """Say what this server is, and whether its code loaded."""
        return self._identity.message(self._definitions.current.state)

    async def ListRepositories(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListRepositoriesRequest,  # noqa: ARG002 -- gRPC's
        context: Context,  # noqa: ARG002 -- gRPC's
    ) -> pb.ListRepositoriesResponse:
        """Name the repositories; none while the code does not load, and the state says why."""
        loaded = self._definitions.current
        names = [pb.RepositoryName(name=one.name, description=one.description) for one in loaded.repositories.values()]
        return pb.ListRepositoriesResponse(repositories=names, definitions=loaded.state)

    async def GetRepository(self, request: pb.GetRepositoryRequest, context: Context) -> pb.Repository:  # noqa: N802 -- gRPC's
        """Return a repository."""
        loaded, code = await self._loaded(context)
        try:
            return loaded.repositories[code.repository(request.repository).name]
        except DefinitionNotFoundError as error:
            await _refuse(context, error)

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.Job:  # noqa: N802 -- gRPC's
        """Return a job."""
        loaded, code = await self._loaded(context)
        try:
            found = code.job(request.repository, request.job)
        except DefinitionNotFoundError as error:
            await _refuse(context, error)
        return next(one for one in loaded.repositories[request.repository].jobs if one.name == found.name)

    async def ValidateRunConfig(  # noqa: N802 -- gRPC's
        self, request: pb.ValidateRunConfigRequest, context: Context
    ) -> pb.ValidateRunConfigResponse:
        """Say whether a run config fits."""
        what = f"checking a run config of job {request.job!r}"
        return await self._asked(
            context, (request.repository, request.job), what, lambda code: questions.validate(code, request)
        )

    async def GetExecutionPlan(self, request: pb.GetExecutionPlanRequest, context: Context) -> pb.ExecutionPlan:  # noqa: N802 -- gRPC's
        """Return the steps that a run would execute."""
        what = f"planning job {request.job!r}"
        return await self._asked(
            context, (request.repository, request.job), what, lambda code: questions.plan(code, request)
        )

    async def EvaluateSchedule(  # noqa: N802 -- gRPC's
        self, request: pb.EvaluateScheduleRequest, context: Context
    ) -> pb.EvaluateScheduleResponse:
        """Return what a schedule wants at a tick, or what its code raised."""
        loaded = self._definitions.current
        if loaded.code is None:
            return pb.EvaluateScheduleResponse(error=loaded.state.load_error)
        code, what = loaded.code, f"schedule {request.schedule!r}"
        key = (loaded.number, request.repository, request.schedule)
        try:
            return await self._user_code.call(
                key, what, lambda: questions.evaluate(code, request), patience=_patience(context)
            )
        except DefinitionNotFoundError as error:
            await _refuse(context, error)
        except UserCodeTimeoutError as error:
            log.warning("schedule did not answer in time", extra={"schedule": request.schedule})
            info = ErrorInfo(type=type(error).__name__, message=str(error), stack=error.stack)
            return pb.EvaluateScheduleResponse(error=answers.error(info))

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.DefinitionsState]:  # noqa: ARG002, N802 -- gRPC's
        """Tell the state of the definitions now and at each change, until the server stops."""
        async for state in self._definitions.follow():
            yield state

    async def _loaded(self, context: Context) -> tuple[Loaded, Code]:
        loaded = self._definitions.current
        if loaded.code is None:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f"the code does not load: {loaded.state.load_error.message}"
            )
        return loaded, loaded.code

    async def _asked(self, context: Context, key: tuple[str, str], what: str, question: Callable[[Code], T]) -> T:
        loaded, code = await self._loaded(context)
        try:
            return await self._user_code.call(
                (loaded.number, *key), what, lambda: question(code), patience=_patience(context)
            )
        except tuple(_REFUSALS) as error:
            await _refuse(context, error)


async def _refuse(context: Context, error: Exception) -> NoReturn:
    await context.abort(_REFUSALS[type(error)], str(error))


def _patience(context: Context) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None else max(remaining - _MARGIN_SECONDS, remaining / 2)
