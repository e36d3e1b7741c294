"""What the server serves now: the code as it was loaded last, and who is told when that changes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb

from dagwire.code import Code, CodeLoader, CodeLoadError, load_error, users_traceback
from dagwire.codeserver import answers, snapshot
from dagwire.codeserver.threads import run_alone

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of one load. Requests work on one of these from beginning to end, whatever is loaded meanwhile."""

    number: int
    """Rises with each load."""
    state: pb.DefinitionsState
    code: Code | None = None
    """None: the load failed, see the state."""
    repositories: Mapping[str, pb.Repository] = field(default_factory=dict)
    fault: CodeLoadError | None = None
    """Why the load failed, as an exception: for the log."""


def load_once(loader: CodeLoader, number: int, at: datetime) -> Loaded:
    """Load the code, and describe it; a failure becomes a state, never an exception."""
    try:
        code = loader.load()
        repositories, digest = _described(code)
    except CodeLoadError as fault:
        state = pb.DefinitionsState(load_error=answers.error(fault.error), loaded_at=answers.timestamp(at))
        return Loaded(number, state, fault=fault)
    state = pb.DefinitionsState(definitions_hash=digest, loaded_at=answers.timestamp(at))
    return Loaded(number, state, code, repositories)


def _described(code: Code) -> tuple[Mapping[str, pb.Repository], str]:
    try:
        return snapshot.describe(code.repositories.values())
    except Exception as fault:  # describing runs user code: schemas, defaults, descriptions
        raise load_error(f"the definitions cannot be described: {type(fault).__name__}: {fault}", fault) from fault


def _log(loaded: Loaded) -> None:
    if loaded.fault is not None:
        cause = loaded.fault.__cause__
        trace = None if cause is None else (type(cause), cause, users_traceback(cause))
        log.error("code failed to load", extra={"error": loaded.fault.error.message}, exc_info=trace)
    else:
        jobs = sum(len(one.jobs) for one in loaded.repositories.values())
        log.info("code loaded", extra={"jobs": jobs, "definitions_hash": loaded.state.definitions_hash})


class Definitions:
    """The definitions as they are now."""

    def __init__(self, loader: CodeLoader, *, now: Callable[[], datetime]) -> None:
        self._loader: Final = loader
        self._now: Final = now
        self._current: Loaded | None = None
        self._loading = asyncio.Lock()
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def current(self) -> Loaded:
        """The outcome of the last load."""
        if self._current is None:
            raise RuntimeError("the code is asked for before it was loaded")
        return self._current

    async def reload(self) -> Loaded:
        """Load the code, afresh if it was loaded before, and tell everybody who follows. One load at a time."""
        async with self._loading:
            number = 1 if self._current is None else self._current.number + 1
            loaded = await run_alone("load code", lambda: load_once(self._loader, number, self._now()))
            self._current = loaded
        self._announce()
        _log(loaded)
        return loaded

    async def follow(self) -> AsyncIterator[pb.DefinitionsState]:
        """Yield the state now, then at each load, until the server stops. A slow reader misses states in between."""
        seen = 0
        while not self._closed:
            changed = self._changed
            if self.current.number > seen:
                seen = self.current.number
                yield self.current.state
                continue
            await changed.wait()

    def close(self) -> None:
        """End every ``follow``."""
        self._closed = True
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
