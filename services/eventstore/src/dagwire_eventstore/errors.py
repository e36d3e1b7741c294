"""What ends the event store or one of its commands. Each message says what happened and what to do.

DagwireError
└── EventStoreError
    ├── DatabaseUnavailableError  PostgreSQL does not answer; the bus keeps what comes in
    ├── MigrationError      the tables cannot be brought up to date
    ├── StreamBehindError   the bus is older than what is stored
    └── OutOfStepError      stream or database moved under a reader; reading starts again from what is stored
"""

from dagwire_shared.errors import DagwireError


class EventStoreError(DagwireError):
    """Do what the message says."""


class DatabaseUnavailableError(EventStoreError):
    """Start PostgreSQL, or correct its address."""


class MigrationError(EventStoreError):
    """Correct the database's address, rights or roles, then start again."""


class StreamBehindError(EventStoreError):
    """Point the event store at the bus it belongs to, or raise the stream's epoch as the message says."""


class OutOfStepError(EventStoreError):
    """Nothing to do: the stream is read again from where the database stands."""
