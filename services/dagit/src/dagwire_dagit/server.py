"""Serves the application over HTTP by uvicorn: the socket, and a stop that no open feed can hold up."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from dagwire_shared.errors import DagwireError
from starlette.types import ASGIApp

_BACKLOG: Final = 2048


class PortInUseError(DagwireError):
    """Stop what listens there, or choose another port."""


class Server(uvicorn.Server):
    """Runs until cancelled; signals are the process's business."""

    def __init__(self, app: ASGIApp, *, before_stop: Callable[[], None], stop_seconds: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                log_level="warning",
                date_header=True,
                lifespan="off",
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=max(1, round(stop_seconds)),
                ws="none",
            )
        )
        self._before_stop = before_stop

    async def run_until_cancelled(self, listener: socket.socket) -> None:
        """Serve; when cancelled, end the feeds, let other requests finish for some seconds, then stop."""
        serving = asyncio.create_task(self.serve([listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._before_stop()
            self.should_exit = True
            await serving
            raise

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        PortInUseError: somebody else listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortInUseError(
            f"cannot listen on {host} port {port}: {(error.strerror or str(error)).lower()}; stop what uses it, or "
            "choose others by DAGWIRE_DAGIT_HOST and DAGWIRE_DAGIT_PORT"
        ) from error
    listener.setblocking(False)
    return listener
