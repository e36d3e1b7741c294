"""The keys of the auth callout in NATS's forms: an account key that signs, a curve key that opens and seals. No I/O."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey
from nacl.signing import SigningKey, VerifyKey

ACCOUNT: Final = 0
"""The first byte of an account's public key: its text begins with ``A``."""
SERVER: Final = 13 << 3
"""``N…``: a server."""
USER: Final = 20 << 3
"""``U…``: a user."""
CURVE: Final = 23 << 3
"""``X…``: a key to seal for."""

_SEALED: Final = b"xkv1"
_KEY_BYTES: Final = 32
_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}


class KeyFormError(ValueError):
    """Something is not in the form that it must have; it is not to be trusted."""


def encode_key(prefix: int, raw: bytes) -> str:
    """Return a public key as NATS writes it: a kind, 32 bytes and a check sum in base 32."""
    body = bytes([prefix]) + raw
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).decode()


def decode_key(prefix: int, text: str) -> bytes:
    """Return the 32 bytes of a public key.

    Raises:
        KeyFormError: it is no key of this kind.
    """
    try:
        raw = base64.b32decode(text)
    except (ValueError, TypeError) as error:
        raise KeyFormError("a key is not in base 32") from error
    key = raw[1:-2]
    if len(key) != _KEY_BYTES or encode_key(prefix, key) != text:
        raise KeyFormError("a key has the wrong kind or check sum")
    return key


class Issuer:
    """Signs claims as an account."""

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.public = encode_key(ACCOUNT, bytes(self._key.verify_key))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return the claims as a signed token, issued by this account."""
        text = f"{_part(_HEADER)}.{_part({**claims, 'iss': self.public})}"
        return f"{text}.{_encoded(self._key.sign(text.encode()).signature)}"


def read_signed(token: str, *, kind: int) -> dict[str, Any]:
    """Return the claims of a token that the key named in it has signed.

    Raises:
        KeyFormError: it is no such token, or not signed by a key of this kind.
    """
    try:
        header, payload, signature = token.split(".")
        claims = json.loads(_decoded(payload))
        if json.loads(_decoded(header)).get("alg") != _HEADER["alg"]:
            raise KeyFormError("a token is not signed as NATS signs")
        key = VerifyKey(decode_key(kind, claims["iss"]))
        key.verify(f"{header}.{payload}".encode(), _decoded(signature))
    except (ValueError, KeyError, TypeError, AttributeError, CryptoError) as error:
        raise KeyFormError(f"a token cannot be read: {type(error).__name__}") from error
    else:
        return dict(claims)


class Sealer:
    """Opens what was sealed for this key, and seals the answers."""

    def __init__(self, seed: bytes) -> None:
        self._key = PrivateKey(seed)
        self.public = encode_key(CURVE, bytes(self._key.public_key))

    def open(self, sealed: bytes, sender: str) -> bytes:
        """Return what the sender sealed.

        Raises:
            KeyFormError: it was not sealed by this sender for this key.
        """
        if not sealed.startswith(_SEALED):
            raise KeyFormError("a message is not sealed as NATS seals")
        try:
            return self._box(sender).decrypt(sealed.removeprefix(_SEALED))
        except (CryptoError, ValueError) as error:
            raise KeyFormError("a message was sealed for another key") from error

    def seal(self, text: bytes, recipient: str) -> bytes:
        """Return the text so that only the recipient can read it."""
        return _SEALED + bytes(self._box(recipient).encrypt(text))

    def _box(self, other: str) -> Box:
        return Box(self._key, PublicKey(decode_key(CURVE, other)))


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
