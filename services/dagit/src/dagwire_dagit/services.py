"""What the routes work with, passed in at the start. Built in ``__main__`` and in tests; decides nothing."""

from dataclasses import dataclass

from dagwire_shared.bus import Bus

from dagwire_dagit.code import Code
from dagwire_dagit.hub import Hub
from dagwire_dagit.launches import Launches
from dagwire_dagit.schedules import Schedules
from dagwire_dagit.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind the routes."""

    bus: Bus
    store: Store
    code: Code
    hub: Hub
    launches: Launches
    schedules: Schedules
