"""The Bus port on a NATS server with JetStream (2.12 or newer), by nats-py. ADR 0002 says how and why."""

from dagwire_shared.jetstream.adapter import JetStreamBus, connect
from dagwire_shared.jetstream.topology import provision

__all__ = ["JetStreamBus", "connect", "provision"]
