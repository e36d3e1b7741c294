"""Addresses of servers: user and password laid into them, and whether they are well-formed. No I/O, no settings."""

from typing import Final
from urllib.parse import quote, urlsplit

_NATS_SCHEMES: Final = frozenset({"nats", "tls", "ws", "wss"})
_POSTGRES_SCHEMES: Final = frozenset({"postgresql", "postgres"})


def nats_address(address: str, *, user: str | None = None, password: str | None = None) -> str:
    """Return the addresses of NATS servers, joined by commas, each with the credential.

    Raises:
        ValueError: an address is not one, or there is a password and no user.
    """
    parts = [part.strip() for part in address.split(",") if part.strip()]
    if not parts:
        raise ValueError("holds no address; it has the form nats://host:4222, several joined by commas")
    return ",".join(_nats_server(part, user, password) for part in parts)


def postgres_address(address: str, *, user: str | None = None, password: str | None = None) -> str:
    """Return the address of a PostgreSQL database with the credential.

    Raises:
        ValueError: it is not one, or there is a password and no user.
    """
    if address.partition("://")[0] not in _POSTGRES_SCHEMES:
        raise ValueError("is not of the form postgresql://user:password@host/name")
    return _with_credential(address, user, password)


def _nats_server(part: str, user: str | None, password: str | None) -> str:
    full = _with_credential(part if "://" in part else f"nats://{part}", user, password)
    try:
        split = urlsplit(full)
        valid = split.scheme in _NATS_SCHEMES and bool(split.hostname) and split.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        valid = False
    if not valid:
        raise ValueError("is not of the form nats://host:4222, several joined by commas")
    return full


def _with_credential(address: str, user: str | None, password: str | None) -> str:
    """Lay user and password, which may hold any characters, over those that the address has."""
    scheme, _, rest = address.partition("://")
    end = min((at for at in (rest.find(mark) for mark in "/?#") if at >= 0), default=len(rest))
    own, _, hosts = rest[:end].rpartition("@")
    own_user, _, own_password = own.partition(":")
    name = quote(user, safe="") if user else own_user
    secret = quote(password, safe="") if password else own_password
    if password and not name:
        raise ValueError("has a password and no user")
    credential = f"{name}:{secret}@" if secret else f"{name}@" if name else ""
    return f"{scheme}://{credential}{hosts}{rest[end:]}"
