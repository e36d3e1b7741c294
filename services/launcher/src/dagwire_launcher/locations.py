"""Keeps the code locations that the state bucket names at hand. Writes nothing."""

import logging

from dagwire_shared.bus import Entry, State
from dagwire_shared.records import CodeLocation, location_key
from pydantic import ValidationError

log = logging.getLogger(__name__)

_PREFIX = location_key("x")[:-1]


class Locations:
    """The code locations that have loaded at least once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._found: dict[str, CodeLocation] = {}

    async def find(self, name: str) -> CodeLocation | None:
        """Return a code location's last good state, or None."""
        return self._found.get(name) or self._keep(await self._state.get(location_key(name)))

    async def run(self) -> None:
        """Follow what the scheduler writes, without end."""
        async for entry in self._state.watch(_PREFIX):
            self._keep(entry)

    def _keep(self, entry: Entry | None) -> CodeLocation | None:
        if entry is None:
            return None
        name = entry.key.removeprefix(_PREFIX)
        if entry.value is None:
            self._found.pop(name, None)
            return None
        try:
            location = CodeLocation.model_validate_json(entry.value)
        except ValidationError as error:
            log.warning("code location is not readable", extra={"key": entry.key, "cause": str(error)})
            return None
        self._found[name] = location
        return location
