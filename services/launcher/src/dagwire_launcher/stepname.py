"""What the worker of a single step is called and made of. No I/O.

As with runs, its name follows from what it is for, so that creating it twice makes one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dagwire_shared.ids import RunId

PREFIX: Final = "dagwire-step-"
_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class StepName:
    """Which attempt at which step of which run a worker is for."""

    run_id: RunId
    step_key: str
    attempt: int

    @property
    def worker(self) -> str:
        """What the backend calls its worker: short, and fit for a path or a cluster."""
        text = f"{self.run_id}/{self.step_key}/{self.attempt}"
        return f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


@dataclass(frozen=True, slots=True)
class StepOrder:
    """What a step worker is created from, beside what its run was launched with."""

    name: StepName
    container_config: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    """Run-pod config of this step, laid over that of its run one after the other."""


@dataclass(frozen=True, slots=True)
class StepWorker:
    """A step worker that was created, living or ended."""

    run_id: RunId
    name: str
