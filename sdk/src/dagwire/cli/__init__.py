"""The command line `dagwire`. Importing it is cheap: each command's module is imported when it is called."""

from dagwire.cli.group import cli, main

__all__ = ["cli", "main"]
