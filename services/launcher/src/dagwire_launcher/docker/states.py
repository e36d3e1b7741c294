"""Reads what the engine says of a container: whose it is, whether it ended, and how. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.events import FailureCause
from dagwire_shared.ids import RunId, check_run_id

from dagwire_launcher.backend import WorkerEnd
from dagwire_launcher.docker.container import INSTANCE, RUN_ID

DELETED: Final = WorkerEnd(cause=FailureCause.WORKER_DELETED, reason="Its container was removed by hand.")

_BY_SIGNAL: Final = 128
"""A process that a signal ended has this much more as its exit code."""

_NOT_RUN: Final = frozenset({126, 127})
"""How a container ends whose command is not in its image, or cannot be run."""

_NOT_RUN_ADVICE: Final = (
    "Its command could not be run: the image does not hold the Python that the code server reports."
    " Set DAGWIRE_CURRENT_IMAGE on the code server to the image that it runs in."
)
_LAST_SIGNAL: Final = 64
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container, as the engine showed it."""

    id: str
    run_id: str | None
    """The run that its labels name."""
    instance: str | None
    created: datetime
    status: str
    """``created``, ``running``, ``exited`` …"""
    code: int
    out_of_memory: bool
    error: str
    """What the engine says when it could not be started."""
    memory: int
    """Its limit in bytes; 0: none."""

    @classmethod
    def read(cls, shown: Mapping[str, Any]) -> Self:
        """Read the engine's answer about one container."""
        state, labels = shown["State"], shown["Config"].get("Labels") or {}
        return cls(
            id=shown["Id"],
            run_id=labels.get(RUN_ID),
            instance=labels.get(INSTANCE),
            created=datetime.fromisoformat(shown["Created"]).astimezone(UTC),
            status=state["Status"],
            code=state.get("ExitCode", 0),
            out_of_memory=bool(state.get("OOMKilled")),
            error=state.get("Error") or "",
            memory=shown["HostConfig"].get("Memory") or 0,
        )

    @property
    def never_started(self) -> bool:
        """Whether it was made and not started, or could not be."""
        return self.status == "created"

    @property
    def is_removed(self) -> bool:
        """Whether somebody is removing it."""
        return self.status in {"removing", "dead"}

    @property
    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self.status in {"exited", "removing", "dead"}

    def is_worker_of(self, run_id: RunId, instance: str) -> bool:
        """Whether it is the worker that this launcher, or another of its name, made for a run."""
        return self.run_id == run_id and self.instance == instance

    def end(self) -> WorkerEnd:
        """Return how it ended."""
        if self.is_removed:
            return DELETED
        if self.code in _NOT_RUN:
            return WorkerEnd(code=self.code, cause=FailureCause.CONTAINER_CONFIG, reason=_NOT_RUN_ADVICE)
        signal = self.code - _BY_SIGNAL if _BY_SIGNAL < self.code <= _BY_SIGNAL + _LAST_SIGNAL else None
        killed = self.out_of_memory and self.code != 0
        return WorkerEnd(
            code=None if signal else self.code,
            signal=signal,
            cause=FailureCause.OUT_OF_MEMORY if killed else None,
            reason=self._memory_advice() if killed else self.error,
        )

    def _memory_advice(self) -> str:
        limit = f"its limit of {self.memory / _MIB:g} MiB" if self.memory else "what the machine has"
        return f"It used more memory than {limit}: give the run more, or let it use less."


@dataclass(frozen=True, slots=True)
class Listed:
    """A container in the engine's list."""

    id: str
    run_id: RunId | None
    """None: its labels name no run."""
    created: datetime
    running: bool

    @classmethod
    def read(cls, shown: Mapping[str, Any]) -> Self:
        """Read one entry."""
        return cls(
            id=shown["Id"],
            run_id=_run_id(shown["Labels"].get(RUN_ID, "")),
            created=datetime.fromtimestamp(shown["Created"], UTC),
            running=shown["State"] not in {"exited", "dead", "removing"},
        )


def _run_id(text: str) -> RunId | None:
    try:
        return check_run_id(text)
    except InvalidIdentifierError:
        return None
