"""Deletes log lines that are too old: the bulk of a history, from which nothing else follows."""

import logging
from datetime import datetime
from typing import Final

import asyncpg

from dagwire_eventstore import queries

log = logging.getLogger(__name__)

PORTION: Final = 10_000
"""How many rows one statement deletes, so that none runs for long."""


async def delete_old_logs(connection: asyncpg.Connection, *, before: datetime, portion: int = PORTION) -> int:
    """Delete log events whose time is before ``before``, and return how many."""
    total = 0
    while True:
        said: str = await connection.execute(queries.DELETE_OLD_LOGS, before, portion)
        deleted = int(said.rpartition(" ")[2])
        total += deleted
        if deleted < portion:
            break
    if total:
        log.info("old log lines deleted", extra={"events": total, "before": before.isoformat()})
    return total
