from support.postgres import own_postgres_server, postgres_server

__all__ = ["own_postgres_server", "postgres_server"]
