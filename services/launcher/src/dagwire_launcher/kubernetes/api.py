"""Speaks to the Kubernetes API server: creates, reads, lists, watches and deletes objects of one namespace, as JSON.

It goes past the client's typed models, which take longer than the request, and decides nothing.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp

from dagwire_launcher.kubernetes.access import Connect
from dagwire_launcher.kubernetes.errors import ApiRefusedError
from dagwire_launcher.kubernetes.session import CONNECT_SECONDS, Request, Session

Raw = dict[str, Any]

_WATCH_SECONDS: Final = 300
_SILENCE_SECONDS: Final = 90.0
"""A watch on which nothing came for so long is broken: the server sends a bookmark about every minute."""
_PAGE: Final = 500
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, as addresses name it."""

    group: str
    plural: str


JOBS: Final = Resource("/apis/batch/v1", "jobs")
PODS: Final = Resource("/api/v1", "pods")
EVENTS: Final = Resource("/api/v1", "events")


@dataclass(frozen=True, slots=True)
class Change:
    """One message of a watch."""

    kind: str
    """``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK`` or ``ERROR``."""
    object: Raw


class Api:
    """The API server, as far as one namespace goes."""

    def __init__(self, namespace: str, connect: Connect) -> None:
        self.namespace = namespace
        self._session = Session(connect)

    async def __aenter__(self) -> Self:
        """Read how the server is reached; it need not be there yet.

        Raises:
            SettingsError: nothing says how.
        """
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.__aexit__(*exception)

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> Raw:
        """Create an object, and return it. What the server does not know in it is refused, not dropped."""
        return await self._json("POST", self._path(resource), {"fieldValidation": "Strict"}, manifest)

    async def read(self, resource: Resource, name: str) -> Raw | None:
        """Return an object; None: there is none."""
        try:
            return await self._json("GET", self._path(resource, name))
        except ApiRefusedError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def list(self, resource: Resource, **selectors: str) -> tuple[list[Raw], str]:
        """Return all objects that match, and the resource version at which they were these.

        Args:
            resource: what.
            selectors: ``labelSelector``, ``fieldSelector``.
        """
        items: list[Raw] = []
        query = {"limit": str(_PAGE), **selectors}
        while True:
            page = await self._json("GET", self._path(resource), query)
            items += page["items"]
            following = page["metadata"].get("continue")
            if not following:
                return items, page["metadata"]["resourceVersion"]
            query["continue"] = following

    async def delete(
        self, resource: Resource, name: str, *, uid: str | None = None, grace_seconds: int | None = None
    ) -> None:
        """Delete an object, and with it in the background what it owns. One that is gone already is no error.

        Args:
            resource: what.
            name: its name.
            uid: only if it is still this one.
            grace_seconds: how long a pod may take to end; None: as its spec says.
        """
        options: Raw = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self._json("DELETE", self._path(resource, name), body=options)
        except ApiRefusedError as error:
            if error.status != _NOT_FOUND:
                raise

    async def log(self, pod: str, container: str, *, lines: int, size: int) -> str:
        """Return the end of what a container wrote: at most so many lines and bytes. Empty: nothing is left of it.

        Args:
            pod: the pod's name.
            container: the container's.
            lines: how many lines.
            size: how many bytes of UTF-8.
        """
        query = {"container": container, "tailLines": str(lines)}
        kept = b""
        try:
            async with self._session.answer(Request("GET", f"{self._path(PODS, pod)}/log", query)) as answer:
                async for chunk in answer.content.iter_chunked(64 * 1024):
                    kept = (kept + chunk)[-size:]
        except ApiRefusedError as error:
            if error.outcome_unknown:
                raise
            return ""  # the pod is gone, or its container never ran
        return kept.decode("utf-8", errors="replace")

    @contextlib.asynccontextmanager
    async def watch(self, resource: Resource, version: str, **selectors: str) -> AsyncIterator[AsyncIterator[Change]]:
        """Give what happens after a resource version, until the server ends the watch, as it does every few minutes."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
            **selectors,
        }
        limits = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        async with self._session.answer(Request("GET", self._path(resource), query, limits=limits)) as answer:
            yield _changes(answer.content)

    def _path(self, resource: Resource, name: str = "") -> str:
        path = f"{resource.group}/namespaces/{self.namespace}/{resource.plural}"
        return f"{path}/{name}" if name else path

    async def _json(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Raw:
        async with self._session.answer(Request(method, path, query, body)) as answer:
            found: Raw = json.loads(await answer.read())
            return found


async def _changes(lines: aiohttp.StreamReader) -> AsyncIterator[Change]:
    async for line in lines:
        change = json.loads(line)
        yield Change(change["type"], change["object"])
