"""A real `dagwire up` for end-to-end tests, on free ports and a directory of its own."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
from dagwire_standalone.ports import free

START_SECONDS = 60.0


def _read(process: subprocess.Popen[str], lines: list[str], news: "queue.SimpleQueue[str | None]") -> None:
    """Read what one process writes into its own list: the one before may still be heard when the next has begun."""
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        news.put(line)
    news.put(None)


class Standalone:
    """One `dagwire up`."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self.ports = {
            "--port": free("127.0.0.1"),
            "--nats-port": free("127.0.0.1"),
            "--postgres-port": free("127.0.0.1"),
        }
        self.url = f"http://127.0.0.1:{self.ports['--port']}"
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._news: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def start(self) -> None:
        self._lines, self._news = [], queue.SimpleQueue()
        ports = [word for option, port in self.ports.items() for word in (option, str(port))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dagwire.cli", "up", "--directory", str(self.directory), *ports, *self._arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        threading.Thread(target=_read, args=(self._process, self._lines, self._news), daemon=True).start()
        self.wait_for_output("Stop with Ctrl-C")

    def wait_for_output(self, text: str) -> str:
        deadline = time.monotonic() + START_SECONDS
        while not any(text in line for line in self._lines):
            line = self._news.get(timeout=max(0.1, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"dagwire up ended without {text!r}:\n{self.output}")
        return self.output

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pids(self, word: str) -> list[int]:
        """The process ids of the parts whose command line holds ``word``."""
        assert self._process is not None
        found = []
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(word in part for part in child.cmdline()):
                    found.append(child.pid)
        return found

    def kill_part(self, word: str) -> int:
        """SIGKILL a part; return the process id it had."""
        (pid, *_) = self.pids(word)
        os.kill(pid, signal.SIGKILL)
        return pid

    @property
    def nats_url(self) -> str:
        return (self.directory / "secrets" / "nats.url").read_text()

    def nats_url_of(self, service: str) -> str:
        """The bus address with the credential of a service."""
        password = (self.directory / "secrets" / f"nats-{service}").read_text()
        return f"nats://{service}:{password}@127.0.0.1:{self.ports['--nats-port']}"

    @property
    def postgres_url(self) -> str:
        return (self.directory / "secrets" / "postgres.url").read_text()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def stored_events(self, run_id: str) -> list[tuple[int, str]]:
        """The stream sequence and id of each event of a run in PostgreSQL, in order."""
        with psycopg.connect(self.postgres_url) as connection:
            rows = connection.execute(
                "SELECT seq, id FROM events WHERE aggregate = %s ORDER BY epoch, seq", [run_id]
            ).fetchall()
        return [(row[0], row[1]) for row in rows]


def wait_until(happened, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (value := happened()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def feed(client: httpx.Client, run_id: str, *, last_event_id: str | None = None) -> Iterator[tuple[str, dict]]:
    """Yield (cursor, envelope) of a run's live feed, reconnecting as a browser does."""
    cursor = last_event_id
    while True:
        headers = {"Last-Event-ID": cursor} if cursor else {}
        try:
            with client.stream("GET", "/api/v1/feed", params={"run": run_id}, headers=headers) as answer:
                answer.raise_for_status()
                for name, data in messages(answer.iter_lines()):
                    if name == "event":
                        cursor = data["cursor"]
                        yield data["cursor"], data["event"]
        except httpx.TransportError:
            time.sleep(0.05)  # the server is being restarted: a browser waits before it reconnects, too


def messages(lines: Iterator[str]) -> Iterator[tuple[str, dict]]:
    """Yield the name and the JSON of each frame of a feed."""
    name, data = "message", ""
    for line in lines:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            data += value
        elif not line and data:
            yield name, json.loads(data)
            name, data = "message", ""


TERMINAL = {
    "dagwire.run.succeeded": "SUCCESS",
    "dagwire.run.failed": "FAILURE",
    "dagwire.run.lost": "FAILURE",
    "dagwire.run.canceled": "CANCELED",
    "dagwire.run.dropped": "CANCELED",
}


def follow_to_end(client: httpx.Client, run_id: str) -> tuple[str, list[tuple[str, dict]]]:
    """Return the run's final status and all that its feed sent."""
    seen = []
    for cursor, event in feed(client, run_id):
        seen.append((cursor, event))
        if status := TERMINAL.get(event["type"]):
            return status, seen
    raise AssertionError("the feed ended")
