"""The code server as a process: its port, health, reflection, and a clean end. Its answers: ``servicer``."""

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import grpc
from dagwire_protos.codeserver.v1.code_server_pb2 import DESCRIPTOR
from dagwire_protos.codeserver.v1.code_server_pb2_grpc import add_CodeServerServicer_to_server
from dagwire_shared.errors import DagwireError
from dagwire_shared.model import utc_now
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_NAME
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from dagwire.code import CodeLoader, describe
from dagwire.codeserver.definitions import Definitions
from dagwire.codeserver.servicer import Identity, Servicer
from dagwire.codeserver.settings import CodeServerSettings
from dagwire.codeserver.threads import UserCode
from dagwire.codeserver.watcher import watch

log = logging.getLogger(__name__)

SERVICE_NAME: Final = DESCRIPTOR.services_by_name["CodeServer"].full_name
_LARGEST_MESSAGE: Final = 100 * 1024 * 1024
_GRACE_SECONDS: Final = 5.0
_OPTIONS: Final = (
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_time_ms", 30_000),  # notices watchers whose machine is gone
    ("grpc.keepalive_timeout_ms", 10_000),
)


class PortError(DagwireError):
    """Choose another host or port, as the message says."""


async def serve(settings: CodeServerSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        PortError: the address is in use, not allowed, or not of this machine.
        OSError: the ready file cannot be written.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = aio.server(options=_OPTIONS, compression=grpc.Compression.Gzip)
    definitions = Definitions(CodeLoader(settings.pointer), now=utc_now)
    health = await _services(server, definitions, settings)
    port = _bind(server, settings.host, settings.port)
    about = {"code": describe(settings.pointer), "port": port}
    if settings.location_name:
        about["location"] = settings.location_name
    log.info("code server starts", extra=about)
    try:
        async with _watched(settings, definitions, stop):
            if await _done_before(stop, definitions.reload()):
                await server.start()
                _announce(settings, port)
                await stop.wait()
            log.info("code server stops", extra=about)
            await health.enter_graceful_shutdown()
            definitions.close()
    finally:
        if settings.ready_file is not None:
            settings.ready_file.unlink(missing_ok=True)
        await server.stop(_GRACE_SECONDS)


@asynccontextmanager
async def _watched(settings: CodeServerSettings, definitions: Definitions, stop: asyncio.Event) -> AsyncIterator[None]:
    """Watch the code from before its first load, so that no edit falls between the two."""
    if not settings.watch:
        yield
        return
    watching = asyncio.create_task(watch(settings.watch, definitions.reload, stop))
    await asyncio.sleep(0)  # its first step sets the watch up
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _services(
    server: aio.Server, definitions: Definitions, settings: CodeServerSettings
) -> health_aio.HealthServicer:
    identity = Identity(
        pointer=settings.pointer,
        image=settings.image,
        container_context=settings.container_context,
        libraries=settings.libraries,
    )
    user_code = UserCode(limit=settings.max_workers, deadline=settings.user_code_timeout)
    add_CodeServerServicer_to_server(Servicer(definitions, user_code, identity), server)
    health = health_aio.HealthServicer()
    await health.set(SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection((SERVICE_NAME, HEALTH_NAME, reflection.SERVICE_NAME), server)
    return health


async def _done_before(stop: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Await ``work``, and return True; False when the server is asked to stop first."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        return False
    await working
    return True


def _bind(server: aio.Server, host: str, port: int) -> int:
    _probe(host, port)
    try:
        return server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:  # taken since the probe
        raise PortError(f"port {port} of {host} cannot be listened on: {error}") from error


def _probe(host: str, port: int) -> None:
    """Say in plain words why an address cannot be listened on; gRPC does not tell the reasons apart."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
    except OSError as error:
        raise PortError(f"the host {host!r} is unknown: {error.strerror or error}") from error
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise PortError(_reason(error, host, port)) from error


def _reason(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} of {host} is in use: choose another with -p, or -p 0 for any free one"
        case errno.EACCES:
            return f"port {port} needs more rights than this user has: choose one above 1023 with -p"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: choose one with -h, or 0.0.0.0 for all of them"
        case _:
            return f"port {port} of {host} cannot be listened on: {error.strerror}"


def _announce(settings: CodeServerSettings, port: int) -> None:
    """Tell where the server is, on one line of stdout that a program can read, and in the ready file."""
    facts = {"event": "code_server_ready", "host": settings.host, "port": port, "pid": os.getpid()}
    line = json.dumps({**facts, "location": settings.location_name})
    if settings.ready_file is not None:
        _write(settings.ready_file, line)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _write(file: Path, line: str) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    partial.write_text(f"{line}\n", encoding="utf-8")
    partial.replace(file)
