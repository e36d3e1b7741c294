"""The database's history: Alembic runs ``versions/`` in order, started by ``dagwire_eventstore.schema`` alone."""

from typing import Final

NEWEST: Final = "0001"
"""The last revision in ``versions/``: known without importing Alembic, so that a start with nothing to do is quick."""
