"""An API server that misbehaves: a proxy before the real one that refuses, delays, cuts and loses answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from dagwire_launcher.kubernetes.access import read_access
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from support.nats import free_port

Fault = Callable[["ApiProxy", web.Request], Awaitable[web.StreamResponse]]
"""Answers a request instead of the real server."""


@dataclass(slots=True)
class ApiProxy:
    """Passes requests on; ``faults`` are met first, each until it says that it is over."""

    port: int = field(default_factory=free_port)
    connections: int = 0
    """How often a launcher read how to reach it."""
    seen: list[str] = field(default_factory=list)
    """Method and path of every request."""
    _faults: list[tuple[str, Fault, int]] = field(default_factory=list)
    _session: aiohttp.ClientSession | None = None
    _host: str = ""
    _credential: dict[str, str] = field(default_factory=dict)
    _streams: set[asyncio.Task[Any]] = field(default_factory=set)

    async def connect(self) -> Configuration:
        """How a launcher reaches it."""
        configuration = Configuration(host=f"http://127.0.0.1:{self.port}")
        configuration.api_key["BearerToken"] = f"bearer token-{self.connections}"
        self.connections += 1
        return configuration

    def fail(self, start: str, fault: Fault, *, times: int = 1) -> None:
        """Have the next requests whose method and path begin so meet a fault."""
        self._faults.append((start, fault, times))

    def recover(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def cut(self) -> None:
        """Cut every connection that carries an answer now: all watches."""
        for task in self._streams:
            task.cancel()

    def count(self, start: str) -> int:
        """How many requests began so."""
        return sum(one.startswith(start) for one in self.seen)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        words = f"{request.method} {request.path_qs}"
        self.seen.append(words)
        for number, (start, fault, times) in enumerate(self._faults):
            if words.startswith(start):
                self._faults[number : number + 1] = [(start, fault, times - 1)] if times > 1 else []
                return await fault(self, request)
        return await self._pass(request)

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name in {"Content-Type", "Accept"}}
        headers |= self._credential
        url, body = f"{self._host}{request.path_qs}", await request.read()
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            task = asyncio.create_task(self._copy(answer, response))
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)
            try:
                await task
            except asyncio.CancelledError:
                drop(request)
        return response

    async def _copy(self, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()

    async def do(self, request: web.Request) -> None:
        """Have the real server do what is asked, without a word to the client."""
        assert self._session is not None
        headers = {"Content-Type": request.headers.get("Content-Type", "application/json"), **self._credential}
        url, body = f"{self._host}{request.path_qs}", await request.read()
        async with self._session.request(request.method, url, data=body, headers=headers) as response:
            await response.read()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["ApiProxy"]:
        """Serve while the context is open."""
        real = await read_access()
        self._host = real.host
        settings = await real.auth_settings()
        self._credential = {one["key"]: one["value"] for one in settings.values()}  # type: ignore[literal-required]
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        context = RESTClientObject(real).ssl_context
        limits = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), timeout=limits) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            try:
                yield self
            finally:
                self.cut()
                await runner.cleanup()


def drop(request: web.Request) -> None:
    """Cut the connection of a request."""
    if request.transport is not None:
        request.transport.abort()


def answer(status: int, reason: str = "", message: str = "", **headers: str) -> Fault:
    """Answer with a status and nothing done."""

    async def fault(_proxy: ApiProxy, _request: web.Request) -> web.StreamResponse:
        body = {"kind": "Status", "reason": reason, "message": message or reason, "code": status}
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=fields)

    return fault


async def lose_request(_proxy: ApiProxy, request: web.Request) -> web.StreamResponse:
    """Do nothing, and cut the connection."""
    drop(request)
    return web.Response()


async def lose_answer(proxy: ApiProxy, request: web.Request) -> web.StreamResponse:
    """Do what was asked, and cut the connection before the answer."""
    await proxy.do(request)
    drop(request)
    return web.Response()


def answer_after_doing(status: int) -> Fault:
    """Do what was asked, and say that something went wrong."""

    async def fault(proxy: ApiProxy, request: web.Request) -> web.StreamResponse:
        await proxy.do(request)
        return await answer(status, "InternalError")(proxy, request)

    return fault
