"""Puts the parts of the Bus port in memory together."""

from dagwire_shared.memory.broker import MemoryBroker
from dagwire_shared.memory.signals import MemorySignals
from dagwire_shared.memory.state import MemoryState
from dagwire_shared.memory.streams import MemoryStreams


class MemoryBus:
    """A connection to a broker in memory; by default to one of its own."""

    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self.broker = broker or MemoryBroker()
        self.streams = MemoryStreams(self.broker)
        self.state = MemoryState(self.broker)
        self.signals = MemorySignals(self.broker)

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached now."""
        return self.broker.online
