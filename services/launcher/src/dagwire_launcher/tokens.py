"""The auth callout's messages: what the server asks, and the signed answers (NATS's ADR-26). No I/O, no decision."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from dagwire_launcher.keys import SERVER, USER, Issuer, KeyFormError, decode_key, read_signed
from dagwire_launcher.permissions import ACCOUNT, Permissions

_VERSION: Final = 2
_UNLIMITED: Final = -1
_SUBSCRIPTIONS: Final = 256
"""How many a run may have at a time; its workers use fewer than ten."""


@dataclass(frozen=True, slots=True)
class Question:
    """A server's question whether a client may connect, and as what."""

    server: str
    """The public key of the server that asks: the answer is for it alone."""
    client: str
    """The public key that the server made for this connection: the answer is for it alone."""
    user: str
    """The name that the client gave."""
    password: str

    def __repr__(self) -> str:
        """Leave out what the client said."""
        return f"Question(client={self.client!r})"


def read_question(token: bytes) -> Question:
    """Return what the server asks.

    Raises:
        KeyFormError: it is no question, or not signed by the server that it names.
    """
    try:
        claims = read_signed(token.decode(), kind=SERVER)
        asked = claims["nats"]
        options = asked["connect_opts"]
        question = Question(
            server=asked["server_id"]["id"],
            client=asked["user_nkey"],
            user=str(options.get("user", "")),
            password=str(options.get("pass", "")),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise KeyFormError(f"a question cannot be read: {type(error).__name__}") from error
    if claims["iss"] != question.server:
        raise KeyFormError("a question is not signed by the server that it names")
    decode_key(USER, question.client)
    return question


def grant(issuer: Issuer, question: Question, permissions: Permissions, *, now: datetime, expires: datetime) -> bytes:
    """Return the answer that lets the client connect with these permissions until then."""
    user = _claims(question.client, audience=ACCOUNT, now=now, nats=_user(permissions))
    user |= {"name": question.user, "exp": int(expires.timestamp())}
    return _answer(issuer, question, now, {"jwt": issuer.sign(user)})


def refuse(issuer: Issuer, question: Question, reason: str, *, now: datetime) -> bytes:
    """Return the answer that refuses the client; the server logs the reason, the client does not learn it."""
    return _answer(issuer, question, now, {"error": reason})


def _answer(issuer: Issuer, question: Question, now: datetime, said: dict[str, str]) -> bytes:
    nats = {**said, "type": "authorization_response", "version": _VERSION}
    return issuer.sign(_claims(question.client, audience=question.server, now=now, nats=nats)).encode()


def _claims(subject: str, *, audience: str, now: datetime, nats: dict[str, Any]) -> dict[str, Any]:
    return {"jti": uuid.uuid4().hex, "iat": int(now.timestamp()), "sub": subject, "aud": audience, "nats": nats}


def _user(permissions: Permissions) -> dict[str, Any]:
    return {
        "type": "user",
        "version": _VERSION,
        "pub": {"allow": list(permissions.publish)},
        "sub": {"allow": list(permissions.subscribe)},
        "subs": _SUBSCRIPTIONS,
        "data": _UNLIMITED,
        "payload": _UNLIMITED,
    }
