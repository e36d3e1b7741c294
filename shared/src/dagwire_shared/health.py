"""Answers the probes of a platform over HTTP: does the process live, and is it ready. Decides by named checks alone.

``/healthz`` answers while the event loop turns; ``/readyz`` says of each check what is missing. Run workers have none.
"""

import asyncio
import contextlib
import inspect
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from dagwire_shared.errors import DagwireError

log = logging.getLogger(__name__)

OK: Final = "ok"
"""What a check says when nothing is missing; anything else says what is."""
CHECK_SECONDS: Final = 0.7
"""A check that takes longer counts as failed: probes wait for one second by default."""

_REQUEST_SECONDS: Final = 5.0
_REQUEST_BYTES: Final = 8192
_CONNECTIONS: Final = 64
_WORDS: Final = 3

Check = Callable[[], str | Awaitable[str]]


class PortInUseError(DagwireError):
    """Stop what listens there, or choose another port."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a process is."""

    ready: bool
    checks: Mapping[str, str]
    """By name: ``ok``, or what is missing."""

    @property
    def status(self) -> str:
        """In one word."""
        return OK if self.ready else "unavailable"


class Health:
    """The checks of a process."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Check, str | None]] = {}
        self._stopping = False

    def add(self, name: str, check: Check, *, group: str | None = None, informs: bool = False) -> None:
        """Add a check, or replace it.

        Args:
            name: what it is called in ``/readyz``.
            check: says ``ok`` or what is missing; it must not raise.
            group: of several checks in one group, one that is well suffices; default: the check counts by itself.
            informs: readiness does not depend on it.
        """
        self._checks[name] = (check, None if informs else group or name)

    def stop(self) -> None:
        """Be not ready from now on: the process is about to end."""
        self._stopping = True

    async def report(self) -> Report:
        """Ask every check. A process without checks has not begun, and is not ready."""
        if self._stopping:
            return Report(ready=False, checks={"process": "stopping"})
        asked = dict(self._checks)
        answers = await asyncio.gather(*(_ask(check) for check, _ in asked.values()))
        checks = dict(zip(asked, answers, strict=True))
        groups: dict[str, bool] = {}
        for name, (_, group) in asked.items():
            if group is not None:
                groups[group] = groups.get(group, False) or checks[name] == OK
        return Report(ready=bool(groups) and all(groups.values()), checks=checks)


async def _ask(check: Check) -> str:
    answer = check()
    if not inspect.isawaitable(answer):
        return answer
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await answer
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"


@asynccontextmanager
async def probes(health: Health, port: int, *, setting: str) -> AsyncIterator[int]:
    """Answer probes on a port while the context is open, and yield the port; 0: any that is free.

    Raises:
        PortInUseError: it cannot be had; the message names ``setting``, which chooses it.
    """
    server = await asyncio.start_server(_Probes(health).answer, sock=_listen(port, setting), limit=_REQUEST_BYTES)
    number = int(server.sockets[0].getsockname()[1])
    log.info("probes are answered", extra={"port": number})
    try:
        yield number
    finally:
        server.close()


def _listen(port: int, setting: str) -> socket.socket:
    """Listen on every address: of both families where the machine has both."""
    both = socket.has_dualstack_ipv6()
    try:
        try:
            family = socket.AF_INET6 if both else socket.AF_INET
            listener = socket.create_server(("", port), family=family, dualstack_ipv6=both)
        except OSError:
            listener = socket.create_server(("", port))  # IPv6 may be compiled in and switched off
    except OSError as error:
        raise PortInUseError(
            f"cannot listen on port {port}: {(error.strerror or str(error)).lower()}; choose another by {setting}"
        ) from error
    listener.setblocking(False)
    return listener


@dataclass(slots=True)
class _Probes:
    """Answers one request per connection."""

    health: Health
    open: int = field(default=0, init=False)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            if self.open <= _CONNECTIONS:
                async with asyncio.timeout(_REQUEST_SECONDS):
                    writer.write(await self._reply(reader))
                    await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever asked is gone, or never asked
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _reply(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        words = head.partition(b"\r\n")[0].split(b" ")
        if len(words) != _WORDS or words[2] not in {b"HTTP/1.0", b"HTTP/1.1"}:
            return _reply(HTTPStatus.BAD_REQUEST)
        method, path, _ = words
        if path not in {b"/healthz", b"/readyz"}:
            return _reply(HTTPStatus.NOT_FOUND)
        if method not in {b"GET", b"HEAD"}:
            return _reply(HTTPStatus.METHOD_NOT_ALLOWED, extra="Allow: GET, HEAD\r\n")
        report = await self.health.report() if path == b"/readyz" else Report(ready=True, checks={})
        status = HTTPStatus.OK if report.ready else HTTPStatus.SERVICE_UNAVAILABLE
        body = json.dumps({"status": report.status, "checks": dict(report.checks)})
        return _reply(status, body, head_only=method == b"HEAD")


def _reply(status: HTTPStatus, body: str = "", *, extra: str = "", head_only: bool = False) -> bytes:
    content = (body or json.dumps({"status": status.phrase})).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nCache-Control: no-store\r\nConnection: close\r\n{extra}\r\n"
    )
    return head.encode() + (b"" if head_only else content)
