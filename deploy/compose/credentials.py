"""Makes the secrets of a compose installation, and gives each service a folder with its own and no others.

All follow from one random key, which is made once and kept in the volume `secrets`: so starting again changes nothing.
Runs before everything else, as root with the one right to give files away.
"""

import hashlib
import hmac
import os
import secrets
import subprocess
import sys
from pathlib import Path

VOLUMES = Path("/volumes")
KEY = VOLUMES / "secrets" / "key"
DAGWIRE, POSTGRES, LAUNCHER = 1000, 999, 0
"""User ids. The launcher's is that of the Docker socket's owner."""

NATS_USERS = ("dagit", "scheduler", "launcher", "eventstore", "client")

# Whose file holds which secret: user id, then the file's name and the secret's.
FOLDERS = {
    "secrets": (0, {"nats_client_password": "nats client"}),  # for people: their own programs on the bus
    "secrets-postgres": (POSTGRES, {"postgres_password": "postgres owner"}),
    "secrets-migrate": (
        DAGWIRE,
        {
            "dagwire_eventstore_database_password": "postgres owner",
            "dagwire_eventstore_writer_password": "postgres writer",
            "dagwire_eventstore_reader_password": "postgres reader",
        },
    ),
    "secrets-eventstore": (
        DAGWIRE,
        {
            "dagwire_eventstore_database_password": "postgres writer",
            "dagwire_eventstore_nats_password": "nats eventstore",
        },
    ),
    "secrets-dagit": (
        DAGWIRE,
        {"dagwire_dagit_database_password": "postgres reader", "dagwire_dagit_nats_password": "nats dagit"},
    ),
    "secrets-scheduler": (DAGWIRE, {"dagwire_scheduler_nats_password": "nats scheduler"}),
    "secrets-launcher": (
        LAUNCHER,
        {"dagwire_launcher_nats_password": "nats launcher", "dagwire_launcher_credential_secret": "run credentials"},
    ),
}


def main() -> None:
    """Write every folder."""
    key = master_key()
    for volume, (owner, files) in FOLDERS.items():
        for name, secret in files.items():
            give(VOLUMES / volume / name, derive(key, secret), owner)
    give(VOLUMES / "nats-auth" / "auth.conf", nats_auth(key), DAGWIRE)
    os.chown(VOLUMES / "nats", DAGWIRE, DAGWIRE)
    sys.stdout.write("every service has its secrets\n")


def master_key() -> bytes:
    """Return the key that all secrets follow from; make it if there is none."""
    if not KEY.exists():
        give(KEY, secrets.token_hex(32), 0)
    return KEY.read_bytes()


def derive(key: bytes, secret: str) -> str:
    """Return a secret."""
    return hmac.digest(key, secret.encode(), hashlib.sha256).hex()


def nats_auth(key: bytes) -> str:
    """Return what the NATS server must know of its users."""
    passwords = {f"DAGWIRE_NATS_{user.upper()}_PASSWORD": derive(key, f"nats {user}") for user in NATS_USERS}
    return subprocess.run(
        [sys.executable, "-m", "dagwire_launcher", "nats-auth"],
        env={**os.environ, **passwords, "DAGWIRE_LAUNCHER_CREDENTIAL_SECRET": derive(key, "run credentials")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def give(file: Path, content: str, owner: int) -> None:
    """Write a file that its owner alone may read."""
    partial = file.with_name(f".{file.name}")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(content, encoding="utf-8")
    os.chown(partial, owner, owner)
    partial.replace(file)


if __name__ == "__main__":
    main()
