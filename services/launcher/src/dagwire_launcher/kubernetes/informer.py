"""Keeps what a cluster holds of one kind at hand: lists it once, then watches it, and never polls.

A watch that breaks goes on from the last version that was seen. When the server has forgotten that version (410 Gone)
all is listed again, and what vanished in between is noticed. What a change means is others' business.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from dagwire_launcher.kubernetes.api import Api, Change, Resource
from dagwire_launcher.kubernetes.errors import ApiAwayError, ApiError, ApiRefusedError
from dagwire_launcher.kubernetes.seen import Seen

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_GONE: Final = 410

_Seen = TypeVar("_Seen", bound=Seen)


class Informer(Generic[_Seen]):
    """The objects of one kind that match, as they are now."""

    def __init__(
        self,
        api: Api,
        resource: Resource,
        read: Callable[[Mapping[str, Any]], _Seen | None],
        *,
        selectors: Mapping[str, str],
        changed: Callable[[_Seen, bool], None],
    ) -> None:
        """Prepare to watch.

        Args:
            api: where.
            resource: what.
            read: makes an object of its JSON; None: it is none of ours.
            selectors: which ones.
            changed: called with each new state of an object, and whether the object is gone.
        """
        self._api = api
        self._resource = resource
        self._reader = read
        self._selectors = dict(selectors)
        self._changed = changed
        self._objects: dict[str, _Seen] = {}
        self._newest = 0
        self.synced = asyncio.Event()
        """Set when all was listed once."""
        self.trouble: str | None = None
        """Why nothing is seen now; None: all is."""

    async def run(self) -> None:
        """List and watch without end."""
        pause = _FIRST_PAUSE_SECONDS
        version: str | None = None
        while True:
            try:
                if version is None:
                    version = await self._list()
                    pause = _FIRST_PAUSE_SECONDS
                async with self._api.watch(self._resource, version, **self._selectors) as changes:
                    self.trouble = None
                    async for change in changes:
                        version = self._take(change)
                        pause = _FIRST_PAUSE_SECONDS
            except ApiError as error:
                if isinstance(error, ApiRefusedError) and error.status == _GONE:
                    log.info("the cluster forgot where we were, all is listed again", extra=self._extra)
                    version = None
                    continue
                self._note(error)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 -- spreads load, guards nothing
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    @property
    def _extra(self) -> dict[str, str]:
        return {"resource": self._resource.plural}

    def _note(self, error: ApiError) -> None:
        facts = {**self._extra, "cause": str(error)}
        if self.trouble is None and isinstance(error, ApiAwayError):
            log.info("watch broke, and goes on", extra=facts)
        elif self.trouble != str(error):
            log.warning("cluster cannot be watched", extra=facts)
        self.trouble = str(error)

    def put(self, raw: Mapping[str, Any]) -> None:
        """Take in an object that the server returned otherwise: the watch tells of it later."""
        seen = self._read(raw)
        if seen is not None:
            self._keep(seen)

    def _read(self, raw: Mapping[str, Any]) -> _Seen | None:
        try:
            return self._reader(raw)
        except (KeyError, TypeError, ValueError, AttributeError):
            # The others must not suffer from what a newer cluster makes of one.
            log.exception("object is not readable", extra=self._extra)
            return None

    async def _list(self) -> str:
        before = self._newest
        items, version = await self._api.list(self._resource, **self._selectors)
        # A cluster that was restored to yesterday counts from yesterday: then nothing that is known is newer.
        rewound = int(version) < before
        self._newest = int(version) if rewound else max(self._newest, int(version))
        listed = {seen.name: seen for raw in items if (seen := self._read(raw)) is not None}
        for seen in [one for name, one in self._objects.items() if name not in listed]:
            # One that was created after the list was made is not in it either.
            if rewound or seen.version <= int(version):
                self._lose(seen)
        for seen in listed.values():
            self._keep(seen, anyway=rewound)
        self.trouble = None
        self.synced.set()
        return version

    def _take(self, change: Change) -> str:
        """Take in a message of the watch, and return from where to go on."""
        if change.kind == "ERROR":
            status = change.object
            raise ApiRefusedError(int(status.get("code", 500)), status.get("reason", ""), status.get("message", ""))
        if change.kind != "BOOKMARK":
            seen = self._read(change.object)
            if seen is not None and change.kind == "DELETED":
                self._lose(seen)
            elif seen is not None:
                self._keep(seen)
        found: str = change.object["metadata"]["resourceVersion"]
        return found

    def _keep(self, seen: _Seen, *, anyway: bool = False) -> None:
        known = self._objects.get(seen.name)
        if known is not None and known.version >= seen.version and not anyway:
            return
        self._newest = max(self._newest, seen.version)
        if known is not None and known.uid != seen.uid:
            self._changed(known, True)
        self._objects[seen.name] = seen
        self._changed(seen, False)

    def _lose(self, seen: _Seen) -> None:
        known = self._objects.get(seen.name)
        if known is not None and known.uid == seen.uid:
            del self._objects[seen.name]
            self._changed(seen, True)
