"""Each service as a process of its own."""

from support.postgres import own_postgres_server

__all__ = ["own_postgres_server"]
