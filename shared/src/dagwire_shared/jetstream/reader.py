"""Reads the last message on a subject, and never an older one than this connection knows of.

Any replica may answer such a question, and one that lags behind would answer with the past: a writer that
was just refused would find nothing that explains it.
"""

import asyncio
from collections import OrderedDict
from datetime import timedelta
from typing import Final

from dagwire_shared.bus import Delivery
from dagwire_shared.jetstream import api
from dagwire_shared.jetstream.connection import Connection, DisconnectedError, UnansweredError
from dagwire_shared.jetstream.deadline import Deadline

ASK_DEADLINE: Final = timedelta(seconds=15)
"""How long a question is repeated."""
PATIENCE_SECONDS: Final = 2.0
"""How long a replica may lag behind; after that, what was known of has been removed."""
_KNOWN_LIMIT: Final = 1024


class Reader:
    """Reads single messages for one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()

    def note(self, stream: str, subject: str, sequence: int) -> None:
        """Remember that a subject holds a message with this sequence, or a later one."""
        self._known[stream, subject] = max(sequence, self._known.pop((stream, subject), 0))
        if len(self._known) > _KNOWN_LIMIT:
            self._known.popitem(last=False)

    async def last(self, stream: str, subject: str) -> Delivery | None:
        """Return the last message on a subject of the stream of this name, or None.

        Raises:
            BusUnavailableError: nobody answered before the deadline.
            PermissionDeniedError: the credential does not allow the subject.
        """
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + PATIENCE_SECONDS
        until = Deadline(ASK_DEADLINE, f"the question for the last message on {subject}", outcome="")
        async for wait in until.tries(self._connection):
            try:
                # The subject stands in the request's own subject, so that a credential can be limited to it.
                reply = await self._connection.request(f"{api.API}.DIRECT.GET.{stream}.{subject}", wait=wait)
            except (DisconnectedError, UnansweredError) as error:
                until.cause = error
                continue
            status = (reply.headers or {}).get(api.STATUS)
            if status not in (None, api.NOT_FOUND):
                until.cause = api.read_answer(reply).error
                continue
            found = api.read_direct(reply) if status is None else None
            if (found.sequence if found else 0) >= self._known.get((stream, subject), 0):
                return found
            if loop.time() >= patient_until:
                self._known.pop((stream, subject), None)
                return found
            until.cause = "the replica that answered lags behind"
        raise AssertionError("tries() ends by raising")
