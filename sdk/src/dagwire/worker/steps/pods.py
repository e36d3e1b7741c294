"""The step workers of one run as its run worker has them: ordered of the launcher, answered, stopped, given up.

Which step starts when is decided by the executor; what a worker may do, by the desk.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

from dagwire_shared.bus import Bus
from dagwire_shared.envelope import decode, describe
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.events import ErrorInfo, Event, StepFailed, StepWorkerEnded, StepWorkerReleased, StepWorkerRequested
from dagwire_shared.ids import RunId
from dagwire_shared.model import Model
from dagwire_shared.subjects import Kind, StepTalk, event_subject, step_subject
from pydantic import ValidationError
from pydantic_core import to_json

from dagwire.errors import ExecutionError, StepWorkerError, error_info
from dagwire.execute.environment import Environment
from dagwire.execute.messages import Assignment
from dagwire.execute.progress import Outcome
from dagwire.execute.stepworker import Settled
from dagwire.executor import KubernetesConfig
from dagwire.worker.steps.desk import Desk, Offer, Post
from dagwire.worker.steps.messages import Greeting, Hello, Receipt, Report

log = logging.getLogger(__name__)

_LONGEST_SILENCE_SECONDS: Final = 3600.0
_LOOKS: Final = 10
"""How often is looked in that time."""
_AGAIN_SECONDS: Final = 0.05
LARGEST_CONFIG: Final = 64 * 1024
"""Of one step's own run-pod config, as JSON in bytes."""

_Question = TypeVar("_Question", bound=Model)


class StepPods:
    """The step workers of one run."""

    def __init__(self, run_id: RunId, environment: Environment, offer: Offer, *, silence_seconds: float) -> None:
        self._run_id: Final = run_id
        self._environment: Final = environment
        self._offer: Final = offer
        self._silence: Final = silence_seconds
        self._desk: Final = Desk(offer)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stops = asyncio.Event()
        self._failure: Exception | None = None
        self._ready = threading.Lock()
        """Taken until step workers are heard. A lock: waiting for one may be broken off by a signal's exception."""
        self._ready.acquire()
        self._begun = False

    # --- the main thread ----------------------------------------------------------------------------------------

    def until_ready(self) -> None:
        """Return when everything that is said of step workers will be heard: nothing is to be ordered before."""
        self._ready.acquire()
        self._ready.release()

    def hire(self, settled: Settled) -> "StepPod":
        """Return a worker for one step; it is created when it is given that."""
        return StepPod(self, settled)

    def order(self, assignment: Assignment, settle: Callable[[Outcome], None]) -> Post:
        """Give a step away, and ask the launcher for its worker."""
        config = self._config(assignment.step_key)
        post = self._desk.give(assignment, settle)
        if self._failure is not None:
            self._fail(post, self._failure)
        elif (size := len(to_json(config))) > LARGEST_CONFIG:
            problem = f"the run-pod config of this step has {size} bytes; at most {LARGEST_CONFIG} are taken"
            self._fail(post, ExecutionError(problem))
        else:
            self._environment.emit(_requested(post, config))
        return post

    def stop(self, post: Post, *, force: bool) -> None:
        """Ask a step to end; with ``force``, or if nobody has it yet, have its worker ended."""
        if not force and self._desk.ask_to_stop(post, "the run was canceled"):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stops.set)
            return
        if not self._desk.close(post, "the run was canceled"):
            return
        key = post.assignment.step_key
        self._environment.emit(StepWorkerReleased(step_key=key, attempt=post.attempt))
        if post.worker is not None:
            problem = StepWorkerError(f"step {key!r} did not end in time after the run was canceled")
            self._fail_closed(post, error_info(problem))
        else:
            post.settle(post.record.outcome)

    def _fail(self, post: Post, error: Exception) -> None:
        """Fail a step whose worker was not asked for."""
        if self._desk.close(post, str(error)):
            self._fail_closed(post, error_info(error))

    def _fail_closed(self, post: Post, error: ErrorInfo) -> None:
        event = StepFailed(step_key=post.assignment.step_key, error=error, seconds=0.0)
        self._environment.emit(event)
        post.record.note(event)
        post.settle(post.record.outcome)

    def _config(self, step_key: str) -> list[dict[str, Any]]:
        """Return the layers of a step's run-pod config, the strongest last."""
        settings = self._environment.resolved.execution
        if not isinstance(settings, KubernetesConfig):  # pragma: no cover -- the executor's own config type
            raise TypeError(f"pods cannot be told {settings!r}")
        of_code = self._environment.plan.step(step_key).container_configs
        layers = (settings.step_k8s_config, *of_code, settings.per_step_k8s_config.get(step_key, {}))
        return [dict(layer) for layer in layers if layer]

    # --- the link's thread --------------------------------------------------------------------------------------

    async def serve(self, bus: Bus) -> None:
        """Answer step workers, and hear what becomes of them; without end. A failure of it fails their steps."""
        try:
            self._loop = asyncio.get_running_loop()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear_ends(bus))
                await asyncio.sleep(0)  # it subscribes before the answers do, which wait for the server
                async with self._answering(bus):
                    self._begin()
                    group.create_task(self._tell_stops(bus))
                    await self._ask_after(bus)
        except* Exception as errors:  # noqa: BLE001 -- whatever it is: what nobody can hear of must not be waited for
            error = errors.exceptions[0]
            self._begin()
            log.error("step workers cannot be talked to: %s", error)  # noqa: TRY400 -- the steps fail by it, and say so
            await self._give_up(error)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._ready.release()

    @asynccontextmanager
    async def _answering(self, bus: Bus) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for talk, answer in ((StepTalk.HELLO, self._on_hello), (StepTalk.REPORT, self._on_report)):
                subject = step_subject(self._run_id, talk)
                await stack.enter_async_context(bus.signals.serve(subject, answer, group="run-worker"))
            yield

    async def _on_hello(self, body: bytes) -> bytes:
        try:
            return _body(self._desk.greet(_read(Hello, body)))
        except MalformedMessageError as error:
            return _body(Greeting(refusal=str(error)))

    async def _on_report(self, body: bytes) -> bytes:
        try:
            receipt = self._desk.take(_read(Report, body))
        except MalformedMessageError as error:
            receipt = Receipt(refusal=str(error))
        if receipt.refusal is not None:
            log.warning("a step worker is refused: %s", receipt.refusal)
        return _body(receipt)

    async def _hear_ends(self, bus: Bus) -> None:
        async for subject, body in bus.signals.listen(event_subject(self._run_id, Kind.WORKER)):
            try:
                event = decode(body).event
            except MalformedMessageError as error:
                log.warning("word of the launcher is not readable", extra={"subject": subject, "cause": str(error)})
                continue
            if isinstance(event, StepWorkerEnded):
                await self._ended(event)

    async def _ended(self, end: StepWorkerEnded) -> None:
        """Settle the step whose worker has ended, unless its worker has done that."""
        post = self._desk.find(end.step_key, end.attempt)
        if post is None or not self._desk.close(post, "its worker has ended"):
            return
        if not post.record.told:
            problem = StepWorkerError(end.message or f"worker {end.worker} ended before step {end.step_key!r} did")
            error = error_info(problem)
            await self._say(post, StepFailed(step_key=end.step_key, error=error, seconds=0.0, cause=end.cause))
        post.settle(post.record.outcome)

    async def _say(self, post: Post, event: Event) -> None:
        while not self._offer(event):  # noqa: ASYNC110 -- the outbox has no room now, and tells nobody when it has
            await asyncio.sleep(_AGAIN_SECONDS)
        post.record.note(event)

    async def _tell_stops(self, bus: Bus) -> None:
        while True:
            await self._stops.wait()
            self._stops.clear()
            await bus.signals.notify(step_subject(self._run_id, StepTalk.STOP))

    async def _ask_after(self, bus: Bus) -> None:
        """Ask the launcher about workers that are not heard of: its word of their end may have been lost."""
        patience: dict[str, float] = {}
        while True:
            await asyncio.sleep(self._silence / _LOOKS)
            now = time.monotonic()
            for post in self._desk.open_posts():
                key = post.assignment.step_key
                if not bus.connected:
                    post.heard = now
                elif now - post.heard > patience.get(key, self._silence):
                    patience[key] = min(2 * patience.get(key, self._silence), _LONGEST_SILENCE_SECONDS)
                    post.heard = now
                    await self._say(post, _requested(post, self._config(key)))

    async def _give_up(self, error: Exception) -> None:
        self._failure = error
        for post in self._desk.open_posts():
            if self._desk.close(post, str(error)):
                problem = error_info(error)
                await self._say(post, StepFailed(step_key=post.assignment.step_key, error=problem, seconds=0.0))
                post.settle(post.record.outcome)


class StepPod:
    """The worker of one step: see ``stepworker.StepWorker``."""

    def __init__(self, pods: StepPods, settled: Settled) -> None:
        self._pods: Final = pods
        self._settled: Final = settled
        self._post: Post | None = None

    def execute(self, assignment: Assignment) -> bool:
        """Have it created, for this step."""
        key = assignment.step_key
        self._post = self._pods.order(assignment, lambda outcome: self._settled(self, key, outcome))
        return True

    def stop(self, *, force: bool) -> None:
        """Ask its step to end, or have it ended by the launcher."""
        if self._post is not None:
            self._pods.stop(self._post, force=force)

    def close(self) -> None:
        """Nothing: it ends with its step."""

    def join(self) -> None:
        """Nothing: the launcher sees to its end."""


def _requested(post: Post, config: list[dict[str, Any]]) -> StepWorkerRequested:
    return StepWorkerRequested(step_key=post.assignment.step_key, attempt=post.attempt, container_config=config)


def _read(kind: type[_Question], body: bytes) -> _Question:
    """Return a question of a step worker.

    Raises:
        MalformedMessageError: it is none.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise MalformedMessageError(f"not a {kind.__name__}: {describe(error)}") from error


def _body(answer: Model) -> bytes:
    return answer.model_dump_json().encode()
