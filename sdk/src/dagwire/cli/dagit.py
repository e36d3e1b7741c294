"""Talks to Dagit's HTTP API, and turns every way in which that can fail into one clear sentence."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from dagwire.cli.exits import CommandError, ExitCode

DEFAULT_URL: Final = "http://127.0.0.1:3000"
_TIMEOUT: Final = httpx.Timeout(30, connect=5)
_RETRY_SECONDS: Final = 30.0
"""How long a launch is sent again, under its key, while its outcome is unknown or the bus is away."""

Query = Mapping[str, str | int | list[str] | None]


class Dagit:
    """The HTTP API of one Dagit."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        """Speak to the Dagit at ``url``, which may hold a path prefix."""
        self.url = url.rstrip("/")
        self.client = client

    def get(self, *path: str, query: Query | None = None) -> Any:
        """Return the answer of a read.

        Raises:
            CommandError: there is no such thing, or no answer.
        """
        return self._answer("GET", self.address(*path), params=_given(query))

    def post(self, *path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the answer of an order that can be given once.

        Raises:
            CommandError: it was refused, or there is no answer.
        """
        return self._answer("POST", self.address(*path), json=dict(body or {}))

    def launch(self, body: Mapping[str, Any], *, key: str | None, waiting: Callable[[str], None]) -> Any:
        """Ask for a run, again and again under one key while the outcome is unknown: the key makes that safe.

        Raises:
            CommandError: it was refused, or there was no answer in half a minute.
        """
        key = key or str(uuid.uuid4())
        give_up = time.monotonic() + _RETRY_SECONDS
        while True:
            pause = 0.5
            try:
                with _explained(self.url):
                    response = self.client.post(self.address("runs"), json=dict(body), headers={"Idempotency-Key": key})
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return self._checked(response)
                pause, error = _retry_after(response), refusal(response, self.url)
            except OutcomeUnknownError as unknown:
                error = unknown
            if time.monotonic() + pause > give_up:
                raise _unsettled(error, key)
            waiting(error.message)
            time.sleep(pause)

    def address(self, *path: str) -> str:
        """Return the address of a resource of the API."""
        return "/".join([f"{self.url}/api/v1", *(quote(part, safe="") for part in path)])

    def page(self, *path: str) -> str:
        """Return the address of a page for people."""
        return "/".join([self.url, *(quote(part, safe="") for part in path)])

    def _answer(self, method: str, address: str, **arguments: Any) -> Any:
        with _explained(self.url):
            response = self.client.request(method, address, **arguments)
        return self._checked(response)

    def _checked(self, response: httpx.Response) -> Any:
        if response.is_success:
            try:
                return response.json()
            except ValueError:
                raise CommandError(
                    f"{self.url} answers, but it is no Dagit (no JSON came back): check --url", ExitCode.UNREACHABLE
                ) from None
        raise refusal(response, self.url)


class OutcomeUnknownError(CommandError):
    """The request may have arrived: no answer came back."""


def _unsettled(error: CommandError, key: str) -> CommandError:
    return CommandError(
        f"whether the run was accepted is unknown: {error.message}."
        f" Ask again with --idempotency-key {key}: that never starts a second run",
        ExitCode.UNREACHABLE,
    )


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectError as error:
        raise CommandError(
            f"no Dagit answers at {url} ({_reason(error)}): start one with `dagwire up`, or name another with --url",
            ExitCode.UNREACHABLE,
        ) from error
    except httpx.TimeoutException as error:
        kind = "could not be reached" if isinstance(error, httpx.ConnectTimeout) else "did not answer"
        raise OutcomeUnknownError(f"the Dagit at {url} {kind} in time", ExitCode.UNREACHABLE) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise CommandError(_bad_url(url), ExitCode.USAGE) from error
    except httpx.TransportError as error:
        raise OutcomeUnknownError(
            f"the connection to the Dagit at {url} broke ({_reason(error)})", ExitCode.UNREACHABLE
        ) from error


def _reason(error: Exception) -> str:
    text = str(error)
    if "refused" in text:
        return "connection refused"
    if "Name or service not known" in text or "getaddrinfo" in text or "name resolution" in text:
        return "unknown host"
    return text or type(error).__name__


def _bad_url(url: str) -> str:
    return f"{url!r} is no address of a Dagit: give it like {DEFAULT_URL} (--url or DAGWIRE_URL)"


def refusal(response: httpx.Response, url: str) -> CommandError:
    """Return what an answer that is not a success means, as an error; the response has been read."""
    code, message, details = _problem(response)
    if response.is_redirect:
        target = response.headers.get("location", "elsewhere")
        return CommandError(f"{url} sends its callers to {target}: name that place with --url", ExitCode.UNREACHABLE)
    if response.status_code == httpx.codes.NOT_FOUND:
        if code == "":
            message = f"{url} answers, but it is no Dagit (404 for {response.request.url.path}): check --url"
            return CommandError(message, ExitCode.UNREACHABLE)
        return CommandError(message, ExitCode.NOT_FOUND, details=details)
    if response.is_server_error:
        return CommandError(f"Dagit cannot do it now: {message}", ExitCode.UNREACHABLE, details=details)
    return CommandError(message, ExitCode.REFUSED, details=details)


def _problem(response: httpx.Response) -> tuple[str, str, tuple[str, ...]]:
    """Return an error answer's code, message and details; a proxy's answer has no code."""
    try:
        problem = response.json()
        details = tuple(fault(detail) for detail in problem.get("details", []))
        return str(problem["code"]), str(problem["message"]).rstrip("."), details
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", f"it answered {response.status_code} {response.reason_phrase}".rstrip(), ()


def fault(detail: Mapping[str, Any]) -> str:
    """Return one fault of a config: its path, then what is wrong there."""
    path = ".".join(str(part) for part in detail.get("path", []))
    return f"{path}: {detail.get('message', '')}" if path else str(detail.get("message", ""))


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(max(float(response.headers.get("Retry-After", "1")), 0.1), 10.0)
    except ValueError:
        return 1.0


def _given(query: Query | None) -> dict[str, str | int | list[str]]:
    return {name: value for name, value in (query or {}).items() if value not in (None, [])}


@contextmanager
def connect(url: str) -> Iterator[Dagit]:
    """Open a client; nothing is sent yet.

    Raises:
        CommandError: the address cannot be one.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise CommandError(_bad_url(url), ExitCode.USAGE)
    # Loading the certificates takes longer than a request; without TLS, and never redirected to it, none are used.
    verify = parts.scheme == "https"
    headers = {
        "Accept": "application/json",
        "User-Agent": f"dagwire-cli/{version('dagwire')}",
        "X-Dagwire-Client": "cli",  # who asked for a run: shown with it for ever
    }
    with httpx.Client(timeout=_TIMEOUT, headers=headers, follow_redirects=False, verify=verify) as client:
        yield Dagit(url, client)
