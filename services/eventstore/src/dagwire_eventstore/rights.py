"""What a role of the database may do with the tables. No I/O; kept apart, so that a running store loads no psycopg."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WRITER: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
"""Rights on the tables: enough to store events, rebuild and forget, and not to change a table."""
READER: Final = ("SELECT",)


@dataclass(frozen=True, slots=True)
class Role:
    """A role and its rights on all tables."""

    name: str
    rights: Sequence[str]
    password: str | None = None
    """None: it is there already, and keeps the one it has."""
