"""Imports nats-py without aiohttp, which it loads where that is installed and needs for WebSocket addresses alone.

That is 10 MiB in every process, and time at the start of every run worker.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Final, cast

_CLIENT: Final = "aiohttp"


def import_lean() -> None:
    """Import nats-py; do nothing if it, or aiohttp, is there already."""
    if _CLIENT in sys.modules or "nats" in sys.modules:
        return
    sys.modules[_CLIENT] = cast("ModuleType", None)  # an import of it fails, and nats-py goes on without it
    try:
        importlib.import_module("nats.aio.transport")
    finally:
        del sys.modules[_CLIENT]


def complete(servers: Iterable[str]) -> None:
    """Give nats-py what it needs for these addresses, if that is installed; otherwise it says what is missing."""
    if any(server.startswith(("ws://", "wss://")) for server in servers):
        transport = importlib.import_module("nats.aio.transport")
        if getattr(transport, _CLIENT) is None and importlib.util.find_spec(_CLIENT) is not None:
            setattr(transport, _CLIENT, importlib.import_module(_CLIENT))
