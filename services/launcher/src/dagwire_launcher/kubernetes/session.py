"""Sends requests to the Kubernetes API server with a credential that may change, at a pace that the server may set.

It waits when the server asks for patience (429), and reads its credential anew when that is refused. What is asked for
is others' business.
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

_REQUEST_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
_LIMITS: Final = aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
_PATIENCE_SECONDS: Final = 30.0
"""How long a request is held back altogether because the server asks for patience, and how long at one time."""
_LEAST_PAUSE_SECONDS: Final = 0.1
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429
_FAILURE: Final = 400


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the server."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    limits: aiohttp.ClientTimeout = _LIMITS


class Session:
    """The way to the API server."""

    def __init__(self, connect: Connect) -> None:
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

    @contextlib.asynccontextmanager
    async def answer(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
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

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
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

    async def _send_once(self, request: Request) -> aiohttp.ClientResponse:
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
        return min(max(_LEAST_PAUSE_SECONDS, float(given)), _PATIENCE_SECONDS)
    except ValueError:  # a date
        return 1.0
