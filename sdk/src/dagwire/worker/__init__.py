"""The run worker, ``python -m dagwire.worker``: runs one job and tells the bus what happens.

It talks to NATS only, with a credential that lets it say its own run's events. Its import path is paid by every
run: no gRPC, no HTTP client, no command line library (import-linter checks it).
"""
