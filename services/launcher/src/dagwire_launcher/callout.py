"""Answers the NATS server's question whether a run's worker may connect (auth callout): by token and state of its run.

Every launcher answers, whether it is the acting one or not. It keeps nothing: what decides is read when it is asked.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dagwire_shared.errors import BusUnavailableError, InvalidIdentifierError
from dagwire_shared.ids import RunId, check_run_id
from dagwire_shared.jetstream import JetStreamBus
from dagwire_shared.model import utc_now

from dagwire_launcher.facts import Facts
from dagwire_launcher.keys import Issuer, KeyFormError, Sealer
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.permissions import run_permissions
from dagwire_launcher.secret import CredentialSecret
from dagwire_launcher.throttle import Throttle
from dagwire_launcher.tokens import Question, grant, read_question, refuse
from dagwire_launcher.users import CALLOUT_GROUP, CALLOUT_SUBJECT

log = logging.getLogger(__name__)

SERVER_KEY: Final = "Nats-Server-Xkey"
"""The header with the public key of a server that seals its questions."""

_MISMATCH: Final = "run nats-auth with this launcher's CREDENTIAL_SECRET, and restart the server"
_READ_SECONDS: Final = 1.2
"""Less than the server waits: it is told that nothing is known now."""
_EARLIEST: Final = 0.8
"""A credential lasts at least this part of its lifetime: those of runs that began together do not end together."""
_LEAST: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalloutSettings:
    """What the answers rest on."""

    secrets: Sequence[CredentialSecret]
    """The current one, which signs; tokens of the others are good, too."""
    credential: timedelta
    """After this the server ends the connection, and asks again when the worker comes back."""
    farewell: timedelta
    """For how long after the worker's last word it may still come back, to learn that this word was taken."""


class RefusedError(Exception):
    """The client may not connect; the message says why, for the logs of launcher and server."""

    def __init__(self, reason: str, run_id: RunId | None = None) -> None:
        super().__init__(reason)
        self.run_id = run_id


class Callout:
    """Lets run workers onto the bus."""

    def __init__(
        self,
        settings: CalloutSettings,
        ledger: Ledger,
        *,
        watches: Callable[[RunId], bool],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Take what decides.

        Args:
            settings: the secrets, and for how long what is granted lasts.
            ledger: tells what was said about a run.
            watches: whether this launcher watches over a living worker of a run.
            clock: tells the time.
        """
        self._settings = settings
        self._issuer = Issuer(settings.secrets[0].issuer_seed)
        self._sealer = Sealer(settings.secrets[0].box_seed)
        self._ledger = ledger
        self._watches = watches
        self._clock = clock
        self._throttle = Throttle()
        self.trouble: str | None = None
        """Why the server's questions cannot be answered; None: as far as is known they can."""

    @asynccontextmanager
    async def serving(self, bus: JetStreamBus) -> AsyncIterator[None]:
        """Answer while the context is open.

        Raises:
            PermissionDeniedError: the launcher's credential does not allow it.
        """
        async with bus.signals.serve_headed(CALLOUT_SUBJECT, self.answer, group=CALLOUT_GROUP):
            log.info("credentials of run workers are given", extra={"issuer": self._issuer.public})
            yield

    async def answer(self, body: bytes, headers: Mapping[str, str]) -> bytes | None:
        """Return the answer to one question of a server; None: there is nobody to answer."""
        sender = headers.get(SERVER_KEY)
        try:
            question = read_question(body if sender is None else self._sealer.open(body, sender))
        except KeyFormError as error:
            self.trouble = f"{error}; {_MISMATCH}"
            if self._throttle.admit("unreadable") is not None:
                log.error("the NATS server asks what cannot be read", extra={"cause": self.trouble})  # noqa: TRY400
            return None
        self.trouble = None
        said = await self._decide(question)
        return said if sender is None else self._sealer.seal(said, sender)

    async def _decide(self, question: Question) -> bytes:
        try:
            run_id = self._identify(question)
            expires = self._until(await self._facts(run_id), run_id)
        except RefusedError as error:
            if (left_out := self._throttle.admit(str(error))) is not None:
                extra = {"cause": str(error), "run_id": error.run_id, "left_out": left_out}
                log.warning("credential refused", extra=extra)
            return refuse(self._issuer, question, f"{error} ({error.run_id or 'no run'})", now=self._clock())
        now = self._clock()
        return grant(self._issuer, question, run_permissions(run_id), now=now, expires=expires)

    def _identify(self, question: Question) -> RunId:
        try:
            run_id = check_run_id(question.user)
        except InvalidIdentifierError:
            raise RefusedError("neither a user of the server nor a run") from None
        if not any(secret.vouches_for(run_id, question.password) for secret in self._settings.secrets):
            raise RefusedError("the token is not the run's", run_id)
        return run_id

    async def _facts(self, run_id: RunId) -> Facts:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return await self._ledger.facts(run_id)
        except (BusUnavailableError, TimeoutError):
            raise RefusedError("the run's state is not known now", run_id) from None

    def _until(self, facts: Facts, run_id: RunId) -> datetime:
        """Return until when the run's worker may stay."""
        now = self._clock()
        if facts.ended_by_launcher:
            raise RefusedError("the run has ended", run_id)
        if facts.ended and facts.run is not None:
            left = facts.run.time + self._settings.farewell - now
            if left <= timedelta(0):
                raise RefusedError("the run has ended", run_id)
            return now + max(left, _LEAST)
        # Of a run that is older than what the stream keeps, only the launcher that watches over it knows.
        if facts.launch is None and not self._watches(run_id):
            raise RefusedError("the run is not known", run_id)
        part = random.uniform(_EARLIEST, 1.0)  # noqa: S311 -- spreads load, hides nothing
        return now + max(self._settings.credential * part, _LEAST)
