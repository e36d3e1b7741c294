"""The Bus port in memory: for tests and single-process use. Same behaviour as ``jetstream``, no server, no files.

A ``MemoryBroker`` is what a server would hold; several ``MemoryBus`` on one broker are several connections.
"""

from dagwire_shared.memory.adapter import MemoryBus
from dagwire_shared.memory.broker import MemoryBroker, matches

__all__ = ["MemoryBroker", "MemoryBus", "matches"]
