"""How long something is tried against the server, and with which pauses. Does not know what is tried."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.jetstream.connection import Connection

TRY_SECONDS: Final = 3.0
"""How long one try may stay unanswered before the message is sent again."""
_PAUSE_SECONDS: Final = (0.02, 0.05, 0.1, 0.25, 0.5)
OUTCOME_UNKNOWN: Final = "; whether it was accepted is unknown: publish it again under the same id"


class Deadline:
    """Until when something is tried, and what stood in the way last."""

    def __init__(self, within: timedelta, what: str, *, outcome: str = OUTCOME_UNKNOWN) -> None:
        self._within = within
        self._what = what
        self._outcome = outcome
        self._end = asyncio.get_running_loop().time() + within.total_seconds()
        self.cause: object = "the bus is not connected"

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self._end - asyncio.get_running_loop().time()

    async def tries(self, connection: Connection) -> AsyncIterator[float]:
        """Yield the seconds that each try has, with a pause between tries.

        Raises:
            BusUnavailableError: the deadline has passed.
        """
        count = 0
        while self.left > 0:
            try:
                async with asyncio.timeout(self.left):
                    await connection.until_connected()
                    if count:
                        pause = _PAUSE_SECONDS[min(count, len(_PAUSE_SECONDS)) - 1]
                        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 # jitter, no secret
            except TimeoutError:
                break
            count += 1
            yield min(TRY_SECONDS, max(self.left, 0.001))
        raise BusUnavailableError(
            f"{self._what} was not answered within {self._within.total_seconds():g} s ({self.cause}){self._outcome}"
        )
