"""Follows a run's events over Server-Sent Events, across broken connections, each event once. Prints nothing."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from httpx_sse import ServerSentEvent, SSEError, connect_sse

from dagwire.cli.dagit import Dagit, refusal
from dagwire.cli.exits import CommandError, ExitCode

TERMINAL: Final = {
    "dagwire.run.succeeded": "SUCCESS",
    "dagwire.run.failed": "FAILURE",
    "dagwire.run.canceled": "CANCELED",
    "dagwire.run.lost": "FAILURE",
    "dagwire.run.dropped": "CANCELED",
}
"""The events after which a run is over, and its status then. The first one counts."""

_SILENCE: Final = httpx.Timeout(10, read=45)
"""Dagit sends a comment every 15 seconds: three missing ones mean a dead connection."""
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_TOLD: Final = 3
"""So many tries in vain are worth a word; a blink of the network is not."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a follower bears with a server, in seconds."""

    lost: float = 300.0
    """Without a connection, after there was one."""
    unknown: float = 10.0
    """Until the server knows the run: a launch is accepted a moment before the run is recorded."""
    pauses: tuple[float, ...] = field(default=_PAUSES)
    """Between tries to connect; the last one repeats."""


PATIENCE: Final = Patience()


class Follower:
    """Reads one run's feed."""

    def __init__(
        self, dagit: Dagit, run_id: str, *, tell: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        """Follow ``run_id``; ``tell`` hears of lost and regained connections."""
        self._dagit = dagit
        self._run_id = run_id
        self._tell = tell
        self._patience = patience or PATIENCE
        self._cursor: str | None = None
        self._broken_since: float | None = None
        self._tries = 0

    def items(self, *, kinds: tuple[str, ...] = (), deadline: float | None = None) -> Iterator[dict[str, Any]]:
        """Yield ``{"cursor": …, "event": …}`` for each event from the run's first on, without end.

        Args:
            kinds: only these kinds of event; empty: all.
            deadline: the monotonic time at which to give up.

        Raises:
            CommandError: the run is unknown, the server stays away, or the deadline passed.
        """
        since = time.monotonic()
        while True:
            try:
                for sse in self._connection(kinds, deadline):
                    _check(deadline)
                    item = self._item(sse)
                    if item is not None:
                        yield item
                self._lost("the server ended the feed")
            except _NotKnownYetError as error:
                if time.monotonic() - since > self._patience.unknown:
                    raise error.final from None
                if self._tries == 0:
                    self._tell("the run is not recorded yet; waiting …")
                self._tries += 1
            except SSEError as error:
                message = f"{self._dagit.url} answers, but not with a feed of events: check --url"
                raise CommandError(message, ExitCode.UNREACHABLE) from error
            except httpx.TransportError as error:
                if self._broken_since is None and self._cursor is None and isinstance(error, httpx.ConnectError):
                    raise CommandError(f"no Dagit answers at {self._dagit.url}", ExitCode.UNREACHABLE) from error
                self._lost(str(error) or type(error).__name__)
            self._pause(deadline)

    def _connection(self, kinds: tuple[str, ...], deadline: float | None) -> Iterator[ServerSentEvent]:
        headers = {} if self._cursor is None else {"Last-Event-ID": self._cursor}
        query: dict[str, str | list[str]] = {"run": self._run_id, **({"kind": list(kinds)} if kinds else {})}
        timeout = (
            _SILENCE if deadline is None else httpx.Timeout(10, read=min(45, max(0.1, deadline - time.monotonic())))
        )
        address = self._dagit.address("feed")
        with connect_sse(self._dagit.client, "GET", address, params=query, headers=headers, timeout=timeout) as source:
            response = source.response
            if not response.is_success:
                response.read()
                self._refused(response)
            for sse in source.iter_sse():
                self._regained()
                yield sse

    def _refused(self, response: httpx.Response) -> None:
        error = refusal(response, self._dagit.url)
        if response.is_server_error:
            raise httpx.RemoteProtocolError(error.message)
        if error.exit_code == ExitCode.NOT_FOUND and self._cursor is None:
            raise _NotKnownYetError(error)
        raise error

    def _item(self, sse: ServerSentEvent) -> dict[str, Any] | None:
        if sse.event != "event" or sse.id == self._cursor:
            return None
        item: dict[str, Any] = json.loads(sse.data)
        self._cursor = sse.id
        return item

    def _lost(self, reason: str) -> None:
        if self._broken_since is None:
            self._broken_since = time.monotonic()
        elif time.monotonic() - self._broken_since > self._patience.lost:
            raise CommandError(f"the Dagit at {self._dagit.url} stays away: {reason}", ExitCode.UNREACHABLE)
        self._tries += 1
        if self._tries == _TOLD:
            self._tell(f"connection lost ({reason}); trying again …")

    def _regained(self) -> None:
        if self._broken_since is not None and self._tries >= _TOLD:
            self._tell("connected again")
        self._tries = 0
        self._broken_since = None

    def _pause(self, deadline: float | None) -> None:
        _check(deadline)
        pauses = self._patience.pauses
        pause = pauses[min(self._tries, len(pauses)) - 1] if self._tries else pauses[0]
        time.sleep(pause if deadline is None else min(pause, max(0.0, deadline - time.monotonic())))


class _NotKnownYetError(Exception):
    def __init__(self, final: CommandError) -> None:
        super().__init__(final.message)
        self.final = final


def _check(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise CommandError("the time is over and the run is not: it goes on", ExitCode.TIMED_OUT)
