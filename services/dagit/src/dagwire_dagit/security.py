"""What is laid around every request: which hosts and origins may ask, how large a body may be, which headers answer.

Against DNS rebinding, cross-site requests and floods. Who the caller is and what they may do: ``permissions``.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dagwire_dagit.models import Problem

PROBES: Final = frozenset({"/healthz", "/readyz"})
"""Asked by their address, which no allow-list knows; they reveal nothing."""
BODY_LIMIT: Final = 1_000_000
_READING: Final = frozenset({"GET", "HEAD"})
_ANY: Final = "*"

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """An ASGI application around another: refuses what must not reach it, and adds headers to what leaves it."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str], body_limit: int = BODY_LIMIT) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None and scope["method"] not in _READING:
            body = await _body(receive, self._body_limit)
            if body is None:
                refusal = _refuse(413, "body_too_large", f"the body is larger than {self._body_limit} bytes")
            else:
                receive = _replay(body, receive)
        await (refusal if refusal is not None else self._app)(scope, receive, answer)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if scope["path"] not in PROBES and not self._is_allowed(host):
            return _refuse(
                421,
                "host_not_allowed",
                f"Dagit does not answer as {host[:100]!r}; whoever runs it can add the name to "
                "DAGWIRE_DAGIT_ALLOWED_HOSTS",
            )
        origin = headers.get("origin")
        if origin is not None and not _is_same_origin(origin, host):
            return _refuse(403, "origin_not_allowed", f"requests from pages of {origin[:100]!r} are not allowed")
        if scope["method"] not in _READING:
            if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
                return _refuse(403, "origin_not_allowed", "requests from pages of other sites are not allowed")
            if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return _refuse(415, "content_type", "send the header Content-Type: application/json")
            if int(_digits(headers.get("content-length", "0"))) > self._body_limit:
                return _refuse(413, "body_too_large", f"the body is larger than {self._body_limit} bytes")
        return None

    def _is_allowed(self, host: str) -> bool:
        return _ANY in self._hosts or _name(host) in self._hosts


def _name(host: str) -> str:
    """Return a Host header's name without its port."""
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdigit() else "0"


def _is_same_origin(origin: str, host: str) -> bool:
    """Compare host and port only: behind a proxy that ends TLS, the scheme is another one."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False


def _refuse(status: int, code: str, message: str) -> ASGIApp:
    return JSONResponse(Problem(code=code, message=message).model_dump(), status_code=status)


async def _body(receive: Receive, limit: int) -> bytes | None:
    """Return the whole body, or None if it is too large or the client is gone."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body once, and then what really comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
