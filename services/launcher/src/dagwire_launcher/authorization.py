"""Puts what the NATS server must know about users and the auth callout into the words of its configuration. No I/O."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dagwire_shared.errors import SettingsError

from dagwire_launcher.keys import Issuer, Sealer
from dagwire_launcher.permissions import ACCOUNT as WORKERS_ACCOUNT
from dagwire_launcher.permissions import ASKED, HEARD, Permissions
from dagwire_launcher.secret import CredentialSecret
from dagwire_launcher.users import ACCOUNT as SERVICES_ACCOUNT
from dagwire_launcher.users import CLIENT, users

TIMEOUT_SECONDS: Final = 1.5
"""How long the server waits for a launcher. After 2 s it would send a PING, which nats-py takes for being let in."""

_ANSWERS: Final = {"max": 1, "expires": "1m"}
_HASHED: Final = "$2"
"""How the server knows a password that is hashed already."""


def access(secret: CredentialSecret, passwords: Mapping[str, str]) -> dict[str, Any]:
    """Return the blocks ``accounts`` and ``authorization``: the users, and the launchers as who answers for the others.

    Args:
        secret: what the launchers' keys follow from.
        passwords: by user; ``client`` may be missing, and then there is no such user.

    Raises:
        SettingsError: a password is missing, or none that the server would take as it is.
    """
    known = {name: one for name, one in users().items() if name in passwords or name != CLIENT}
    if faults := [fault for name in known if (fault := _fault(name, passwords.get(name, "")))]:
        raise SettingsError("\n".join(["wrong passwords:", *faults]))
    listed = [
        {"user": name, "password": passwords[name], "permissions": _permissions(permissions)}
        for name, permissions in known.items()
    ]
    return {
        "accounts": {SERVICES_ACCOUNT: _services(listed), WORKERS_ACCOUNT: _workers()},
        "authorization": {"timeout": TIMEOUT_SECONDS, "auth_callout": _callout(secret, list(known))},
    }


def _services(listed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    exports = [*({"service": one} for one in ASKED), *({"stream": one} for one in HEARD)]
    return {
        "jetstream": "enabled",
        "users": listed,
        "exports": [{**one, "accounts": [WORKERS_ACCOUNT]} for one in exports],
    }


def _workers() -> dict[str, Any]:
    asked = [{"service": {"account": SERVICES_ACCOUNT, "subject": one}} for one in ASKED]
    return {"imports": [*asked, *({"stream": {"account": SERVICES_ACCOUNT, "subject": one}} for one in HEARD)]}


def _callout(secret: CredentialSecret, known: Sequence[str]) -> dict[str, Any]:
    return {
        "account": SERVICES_ACCOUNT,
        "issuer": Issuer(secret.issuer_seed).public,
        "xkey": Sealer(secret.box_seed).public,
        # Who is known with a password; everybody else is asked about.
        "auth_users": known,
    }


def configuration(secret: CredentialSecret, passwords: Mapping[str, str]) -> str:
    """Return a file for ``include`` in the server's configuration. It holds passwords.

    Raises:
        SettingsError: as for ``access``.
    """
    # The server's parser does not know JSON's \u.
    blocks = (
        f"{name}: {json.dumps(block, indent=2, ensure_ascii=False)}\n"
        for name, block in access(secret, passwords).items()
    )
    return "".join(["# Written by `python -m dagwire_launcher nats-auth`. Holds passwords.\n", *blocks])


def _permissions(permissions: Permissions) -> dict[str, Any]:
    said: dict[str, Any] = {
        "publish": {"allow": list(permissions.publish)},
        "subscribe": {"allow": list(permissions.subscribe)},
    }
    if permissions.answers:
        said["allow_responses"] = _ANSWERS
    return said


def _fault(name: str, password: str) -> str | None:
    variable = f"DAGWIRE_NATS_{name.upper()}_PASSWORD"
    if not password:
        return f"  {variable} is not set"
    if not password.isprintable():
        return f"  {variable} has a character that cannot be printed"
    if password.startswith(_HASHED):
        return f"  {variable} begins with {_HASHED!r}, which the server would take for a hash: choose another"
    return None
