"""The Bus port on a NATS server with JetStream (2.12 or newer), by nats-py. ADR 0002 says how and why."""

from dagwire_shared.jetstream.lean import import_lean

import_lean()  # before anything else imports nats-py

from dagwire_shared.jetstream.adapter import JetStreamBus, connect  # noqa: E402
from dagwire_shared.jetstream.topology import provision  # noqa: E402

__all__ = ["JetStreamBus", "connect", "provision"]
