"""Derives every key from the one credential secret that all launchers share. No I/O.

HKDF (RFC 5869) with SHA-256 and a label per key: who learns one token learns nothing of the secret, or of another key.
"""

import base64
import hmac
from hashlib import sha256
from typing import Final

from dagwire_shared.errors import SettingsError
from dagwire_shared.ids import RunId, check_run_id

MIN_LENGTH: Final = 32
"""Characters. A secret of random letters and digits of this length cannot be guessed from a token."""

_SALT: Final = b"dagwire credential v1"
_TOKENS: Final = b"worker tokens"
_ISSUER: Final = b"issuer seed"
_BOX: Final = b"callout box seed"


class CredentialSecret:
    """The secret behind the credentials of run workers, and behind the key that signs for them."""

    def __init__(self, text: str) -> None:
        """Take the secret as it was set.

        Raises:
            SettingsError: it is too short to be one.
        """
        if len(text) < MIN_LENGTH:
            raise SettingsError(
                f"the credential secret has {len(text)} characters: give it at least {MIN_LENGTH} random ones, as from"
                " `openssl rand -hex 32`"
            )
        self._key = hmac.digest(_SALT, text.encode(), sha256)
        self._tokens = self._expand(_TOKENS)

    def _expand(self, label: bytes) -> bytes:
        """Return 32 bytes for a label: HKDF's expansion, which needs one block for as many."""
        return hmac.digest(self._key, label + b"\x01", sha256)

    @property
    def issuer_seed(self) -> bytes:
        """The seed of the Ed25519 key that signs what run workers may do."""
        return self._expand(_ISSUER)

    @property
    def box_seed(self) -> bytes:
        """The private X25519 key to which the server seals its questions."""
        return self._expand(_BOX)

    def worker_token(self, run_id: RunId) -> str:
        """Return the password of a run's worker: letters, digits, ``-`` and ``_``."""
        digest = hmac.digest(self._tokens, check_run_id(run_id).encode(), sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def vouches_for(self, run_id: RunId, token: str) -> bool:
        """Return whether this is the run's token, in a time that does not depend on the difference."""
        return hmac.compare_digest(self.worker_token(run_id).encode(), token.encode())
