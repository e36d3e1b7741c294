"""`dagwire api`: serve user code over gRPC, and check such a server. Each command's module is imported on demand."""

import click

from dagwire.cli.group import Lazy, LazyGroup


class _Api(LazyGroup):
    lazy = {  # noqa: RUF012 -- a constant, of a type that says so
        "grpc": Lazy("dagwire.cli.serve:serve", "Serve user code over gRPC."),
        "grpc-health-check": Lazy("dagwire.cli.health:check", "Ask a code server whether it serves."),
    }


class _CodeServer(LazyGroup):
    lazy = {  # noqa: RUF012 -- a constant, of a type that says so
        "start": Lazy("dagwire.cli.serve:start", "Serve user code over gRPC, and load it again when it changes."),
    }


@click.group(cls=_CodeServer)
def code_server() -> None:
    """Serve user code over gRPC: `api grpc` under the name that newer charts of Dagster use."""


@click.group(cls=_Api)
def api() -> None:
    """Serve user code over gRPC, and check such a server."""
