"""nats-py's client where it needs help: what it takes too seriously, what it does slowly, the credential it is given.

Decides nothing about reconnecting; that is the link's.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

import nats.errors
from nats.aio.client import Client

_EXPIRED: Final = "authentication expired"


class TolerantClient(Client):
    """nats-py's client, but for two things.

    Its reading of headers: a Python call per character took 10 % of the time. And a credential that has expired is no
    reason to close for good: the server is asked to let this client in again.
    """

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Read ``Name: Value`` lines; one without a proper name is left out, as nats-py does."""
        headers: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            name = name.strip()
            if colon and name.isascii() and name.isprintable() and " " not in name:
                headers[name] = value.strip()
        return headers

    async def _process_err(self, err_msg: str) -> None:
        if _EXPIRED in err_msg.lower():
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))
        else:
            await super()._process_err(err_msg)


class Credential(NamedTuple):
    """A user and password, or a token, or nothing."""

    user: str | None = None
    password: str | None = None
    token: str | None = None


def credential_in(servers: Sequence[str]) -> Credential:
    """Return the credential of the addresses, which nats-py would take as it is quoted.

    Given to it apart, it is also good for servers of a cluster that it learns of by itself.
    """
    for server in servers:
        try:
            split = urlsplit(server)
        except ValueError:  # no address: nats-py says so
            break
        if split.username and split.password is not None:
            return Credential(user=unquote(split.username), password=unquote(split.password))
        if split.username:
            return Credential(token=unquote(split.username))
    return Credential()
