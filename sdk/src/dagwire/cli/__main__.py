"""Makes `python -m dagwire.cli` the same as `dagwire`."""

from dagwire.cli.group import main

main()
