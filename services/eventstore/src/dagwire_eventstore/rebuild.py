"""Makes the projections anew from the events, in one transaction: readers see the old ones until the new are whole.

Memory stays flat: events are read run by run, a portion at a time. Event stores wait meanwhile, the bus keeps what
comes in.
"""

import logging
from collections.abc import Callable
from typing import Final

import asyncpg
from dagwire_shared.subjects import SHARDS

from dagwire_eventstore import queries
from dagwire_eventstore.batch import read_fact
from dagwire_eventstore.views import Views

log = logging.getLogger(__name__)

PORTION: Final = 5_000
"""How many events are read and applied at once."""


async def rebuild(
    connection: asyncpg.Connection, *, portion: int = PORTION, on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Recreate runs, steps, ticks and assets; return how many events they follow from.

    Args:
        connection: without a limit on how long a command may take.
        portion: how many events are applied at once.
        on_progress: told how many events were applied so far.
    """
    total = 0
    async with connection.transaction():
        shards = list(SHARDS)
        await connection.execute(queries.BEGIN_PROGRESS, shards)
        await connection.execute(queries.LOCK_PROGRESS, shards)  # nobody stores events until this is committed
        await connection.execute(queries.EMPTY_PROJECTIONS)
        cursor = await connection.cursor(queries.READ_FACTS)
        while records := await cursor.fetch(portion):
            read = (read_fact(**{**record, "aggregate": str(record["aggregate"])}) for record in records)
            facts = [fact for fact in read if fact is not None]
            views = Views()
            await views.load(connection, facts)
            for fact in facts:
                views.apply(fact)
            await views.save(connection)
            total += len(records)
            on_progress(total)
    log.info("projections rebuilt", extra={"events": total})
    return total
