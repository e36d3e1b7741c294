"""Says with which credential a run's worker connects to the bus: its own, or the shared one of its address. No I/O."""

from typing import Final
from urllib.parse import urlsplit

from dagwire_shared.ids import RunId

from dagwire_launcher.secret import CredentialSecret

INBOX: Final = "_INBOX_"
"""Each credential receives its answers below this and its own name, and nowhere else."""


class WorkerCredentials:
    """The bus addresses of run workers."""

    def __init__(self, secret: str | None, nats_url: str) -> None:
        """Take the secret that tokens are derived from, and the address that workers reach.

        Args:
            secret: None: workers share the credential that stands in the address.
            nats_url: one server, or several joined by commas.

        Raises:
            SettingsError: the secret is too short.
        """
        self._secret = None if secret is None else CredentialSecret(secret)
        self._nats_url = nats_url

    def environment(self, run_id: RunId) -> dict[str, str]:
        """Return the variables that let a run's worker onto the bus. They are secret."""
        if self._secret is None:
            return {"DAGWIRE_WORKER_NATS_URL": self._nats_url}
        token = self._secret.worker_token(run_id)
        return {
            "DAGWIRE_WORKER_NATS_URL": with_user(self._nats_url, run_id, token),
            "DAGWIRE_WORKER_INBOX_PREFIX": inbox_of(run_id),
        }


def inbox_of(user: str) -> str:
    """Return the prefix of the subjects on which a user receives its answers."""
    return f"{INBOX}{user}"


def with_user(nats_url: str, user: str, password: str) -> str:
    """Return the addresses with this credential in each, in place of any that stands there.

    Args:
        nats_url: one address, or several joined by commas.
        user: needs no quoting.
        password: needs no quoting.
    """
    servers = [part.strip() for part in nats_url.split(",") if part.strip()]
    return ",".join(_with_user(server, f"{user}:{password}") for server in servers)


def _with_user(server: str, credential: str) -> str:
    parts = urlsplit(server if "://" in server else f"nats://{server}")
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{credential}@{host}").geturl()
