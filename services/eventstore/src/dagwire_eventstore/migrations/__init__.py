"""The database's history: Alembic runs ``versions/`` in order, started by ``dagwire_eventstore.schema`` alone."""
