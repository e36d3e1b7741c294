"""Speaks to the Kubernetes API server: creates, reads, lists, watches and deletes objects of one namespace, as JSON.

It uses the client's session and credentials and goes past its typed models: those take longer than the request. It
waits when the server asks for patience (429), and reads its credential anew when that is refused. It decides nothing.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlencode

import aiohttp
from dagwire_shared.errors import SettingsError
from kubernetes.aio.client.api_client import ApiClient

from dagwire_launcher.kubernetes.access import Connect
from dagwire_launcher.kubernetes.errors import ApiAwayError, ApiRefusedError

log = logging.getLogger(__name__)

Raw = dict[str, Any]

_REQUEST_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 5.0
_LIMITS: Final = aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=_CONNECT_SECONDS)
_PATIENCE_SECONDS: Final = 30.0
"""How long a request is held back altogether because the server asks for patience."""
_WATCH_SECONDS: Final = 300
_SILENCE_SECONDS: Final = 90.0
"""A watch on which nothing came for so long is broken: the server sends a bookmark about every minute."""
_PAGE: Final = 500
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_FAILURE: Final = 400


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, as addresses name it."""

    group: str
    plural: str


JOBS: Final = Resource("/apis/batch/v1", "jobs")
PODS: Final = Resource("/api/v1", "pods")
EVENTS: Final = Resource("/api/v1", "events")


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    limits: aiohttp.ClientTimeout = _LIMITS


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
        self._connect = connect
        self._client: ApiClient | None = None
        self._not_before = 0.0

    async def __aenter__(self) -> Self:
        """Read how the server is reached; it need not be there yet.

        Raises:
            SettingsError: nothing says how.
        """
        self._client = ApiClient(await self._connect())
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._client is not None:
            await self._client.close()

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
            async with self._answer(_Request("GET", f"{self._path(PODS, pod)}/log", query)) as answer:
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
        limits = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        async with self._answer(_Request("GET", self._path(resource), query, limits=limits)) as answer:
            yield _changes(answer.content)

    def _path(self, resource: Resource, name: str = "") -> str:
        path = f"{resource.group}/namespaces/{self.namespace}/{resource.plural}"
        return f"{path}/{name}" if name else path

    async def _json(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Raw:
        async with self._answer(_Request(method, path, query, body)) as answer:
            found: Raw = json.loads(await answer.read())
            return found

    @contextlib.asynccontextmanager
    async def _answer(self, request: _Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and give the answer of success while the context is open.

        Raises:
            ApiRefusedError: the server answers with another status.
            ApiAwayError: it does not answer, or stops in the middle.
        """
        try:
            answer = await self._send(request)
            async with answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError) as error:
            words = str(error) or type(error).__name__
            raise ApiAwayError(f"the Kubernetes API server does not answer: {words}") from error

    async def _send(self, request: _Request) -> aiohttp.ClientResponse:
        """Send a request until it is neither put off nor sent with a credential of yesterday."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        renewed = False
        while True:
            await self._until_welcome()
            answer = await self._send_once(request)
            if answer.status < _FAILURE:
                return answer
            async with answer:
                refusal = _refusal(answer.status, await answer.read())
            if answer.status == _TOO_MANY and time.monotonic() < deadline:
                self._put_off(_retry_after(answer, refusal))
            elif answer.status == _UNAUTHORIZED and not renewed:
                renewed = True
                await self._renew()
            else:
                raise refusal

    async def _send_once(self, request: _Request) -> aiohttp.ClientResponse:
        client = self._client
        if client is None:
            raise ApiAwayError("the Kubernetes API server is not connected")
        headers = {**client.default_headers, "Accept": "application/json"}
        await client.update_params_for_auth(headers, [], ["BearerToken"], request.path, request.method, None)
        query = f"?{urlencode(request.query)}" if request.query else ""
        response = await client.rest_client.request(
            request.method,
            f"{client.configuration.host}{request.path}{query}",
            headers=headers,
            body=request.body,
            _request_timeout=request.limits,
        )
        found: aiohttp.ClientResponse = response.response
        return found

    def _put_off(self, seconds: float) -> None:
        """Hold all requests back: the server is too busy for any of ours."""
        log.info("the API server asks for patience", extra={"seconds": seconds})
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    async def _until_welcome(self) -> None:
        while (seconds := self._not_before - time.monotonic()) > 0:  # noqa: ASYNC110 -- it may be put off meanwhile
            await asyncio.sleep(seconds)

    async def _renew(self) -> None:
        """Read the credential anew. The connections stay: it is sent with each request."""
        log.info("the API server refuses the credential, which is read anew")
        try:
            configuration = await self._connect()
        except SettingsError as error:
            raise ApiAwayError(str(error)) from error
        if self._client is not None:
            self._client.configuration = configuration


async def _changes(lines: aiohttp.StreamReader) -> AsyncIterator[Change]:
    async for line in lines:
        change = json.loads(line)
        yield Change(change["type"], change["object"])


def _refusal(status: int, body: bytes) -> ApiRefusedError:
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    if not isinstance(said, Mapping):
        said = {}
    message = said.get("message") or body[:1000].decode("utf-8", errors="replace") or f"status {status}"
    return ApiRefusedError(status, str(said.get("reason", "")), str(message), said.get("details"))


def _retry_after(answer: aiohttp.ClientResponse, refusal: ApiRefusedError) -> float:
    """Return how long the server asks to wait, in seconds."""
    given = answer.headers.get("Retry-After") or refusal.details.get("retryAfterSeconds") or 1
    try:
        return max(0.1, float(given))
    except ValueError:  # a date
        return 1.0
