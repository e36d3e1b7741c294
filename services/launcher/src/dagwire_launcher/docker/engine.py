"""Talks to one Docker engine, by aiodocker: containers, images, and what happens to them. Decides nothing."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Self

import aiodocker
import aiohttp

from dagwire_launcher.docker.states import Container, Listed
from dagwire_launcher.errors import BackendUnavailableError

SOCKET: Final = "unix:///var/run/docker.sock"

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 60.0
_TAIL_LINES: Final = 500
_TAIL_CHARACTERS: Final = 16 * 1024
"""How much of a worker's output is told when it is lost."""

_LISTED: Final = ("Id", "Labels", "Created", "State")
_NOT_FOUND, _CONFLICT, _ENGINE_FAILED = 404, 409, 500


class EngineRefusedError(Exception):
    """The engine will not do it, in its own words; ``status`` is its answer's."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status

    @property
    def not_found(self) -> bool:
        """There is no such container, image or network."""
        return self.status == _NOT_FOUND

    @property
    def in_conflict(self) -> bool:
        """The name is taken, or the container is in another state."""
        return self.status == _CONFLICT


class Engine:
    """A connection to the engine. Use it as a context manager."""

    def __init__(self, address: str | None) -> None:
        """Take the engine's address; None: ``DOCKER_HOST``, or the usual socket."""
        self._address = address or os.environ.get("DOCKER_HOST") or SOCKET
        self._client: aiodocker.Docker | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS, sock_connect=_CONNECT_SECONDS)
        self._client = aiodocker.Docker(url=self._address, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    @property
    def _docker(self) -> aiodocker.Docker:
        if self._client is None:
            raise BackendUnavailableError("the connection to the Docker engine is not open")
        return self._client

    async def create(self, name: str, creation: Mapping[str, Any]) -> None:
        """Create a container, and do not start it.

        Raises:
            EngineRefusedError: the name is taken, there is no such image, or the engine does not take the settings.
            BackendUnavailableError: whether it was created is unknown.
        """
        with self._asking(failures_are_final=True):
            await self._docker.containers.create(dict(creation), name=name)

    async def start(self, name: str) -> None:
        """Start a container; one that runs or has ended is left as it is.

        Raises:
            EngineRefusedError: it cannot be started.
            BackendUnavailableError: whether it was started is unknown.
        """
        with self._asking(failures_are_final=True):
            await self._docker.containers.container(name).start()

    async def pull(self, image: str) -> None:
        """Pull an image.

        Raises:
            EngineRefusedError: the registry does not give it, or cannot be reached.
            BackendUnavailableError: the engine cannot be reached.
        """
        with self._asking(failures_are_final=True):
            await self._docker.images.pull(image)

    async def find(self, name: str) -> Container | None:
        """Return a container, or None if there is none of this name."""
        try:
            with self._asking():
                return Container.read(await self._docker.containers.container(name).show())
        except EngineRefusedError as error:
            if error.not_found:
                return None
            raise BackendUnavailableError(f"the Docker engine does not show {name}: {error}") from error

    async def list(self, label: str, value: str) -> list[Listed]:
        """Return every container with a label, running or not."""
        filters = f'{{"label": ["{label}={value}"]}}'
        with self._asking():
            found = await self._docker.containers.list(all=True, filters=filters)
        return [Listed.read({key: one[key] for key in _LISTED}) for one in found]

    async def kill(self, name: str, signal: str) -> None:
        """Send a signal to a container's process; nothing happens where none runs."""
        await self._unless_gone(lambda: self._docker.containers.container(name).kill(signal=signal))

    async def remove(self, name: str) -> None:
        """Remove a container with its anonymous volumes, running or not."""
        await self._unless_gone(lambda: self._docker.containers.container(name).delete(force=True, v=True))

    async def tail(self, name: str) -> str:
        """Return the last lines that a container wrote; empty if that cannot be known."""
        try:
            with self._asking():
                lines = await self._docker.containers.container(name).log(stdout=True, stderr=True, tail=_TAIL_LINES)
        except (EngineRefusedError, BackendUnavailableError):
            return ""
        text = "".join(lines)
        return text if len(text) <= _TAIL_CHARACTERS else text[-_TAIL_CHARACTERS:].partition("\n")[2]

    async def info(self) -> Mapping[str, Any]:
        """Return the engine's word about itself."""
        with self._asking():
            return await self._docker.system.info()

    async def follow(self, label: str, value: str, *, since: datetime) -> AsyncIterator[Mapping[str, Any]]:
        """Follow the ends and removals of containers with a label, until the connection ends.

        Args:
            label: the label.
            value: its value.
            since: what happened from then on, by the engine's clock, is told too.
        """
        events = self._docker.events
        subscriber = events.subscribe(create_task=False)  # type: ignore[no-untyped-call]
        filters = f'{{"type": ["container"], "event": ["die", "destroy"], "label": ["{label}={value}"]}}'
        reading = asyncio.create_task(self._read(events.run(filters=filters, since=int(since.timestamp()))))
        try:
            while (event := await subscriber.get()) is not None:
                yield event
            await reading
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, BackendUnavailableError):
                await reading

    async def _read(self, reading: Any) -> None:
        with self._asking():
            await reading

    async def _unless_gone(self, ask: Callable[[], Any]) -> None:
        try:
            with self._asking():
                await ask()
        except EngineRefusedError as error:
            if not (error.not_found or error.in_conflict):
                raise BackendUnavailableError(str(error)) from error

    @contextlib.contextmanager
    def _asking(self, *, failures_are_final: bool = False) -> Iterator[None]:
        """Tell apart what the engine refuses and what it could not be asked."""
        try:
            yield
        except aiodocker.DockerError as error:
            # A 500 is how the engine puts many a wrong setting; what is above comes of its being away or ending.
            if error.status < _ENGINE_FAILED or (failures_are_final and error.status == _ENGINE_FAILED):
                raise EngineRefusedError(error.status, error.message) from error
            raise BackendUnavailableError(f"Docker engine at {self._address}: {error.message}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BackendUnavailableError(
                f"Docker engine at {self._address}: {error or type(error).__name__}"
            ) from error
