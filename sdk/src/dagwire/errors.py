"""The SDK's errors as one short tree, and how any exception becomes text that an event can carry.

DagwireError (of the bus contract)
├── DefinitionError        ops, graphs, jobs, resources or schedules do not fit together
├── InvalidConfigError     a run config or preset does not fit its job; every fault is listed
├── InvocationError        an op or schedule is called in a way that cannot work
├── ExecutionError         a step cannot go on: an output is missing, a value cannot be stored or found
│   ├── TypeCheckError     a value is not what its annotation says
│   └── StepProcessError   the process of a step ended without a result
└── CodeLoadError          user code cannot be imported, or defines nothing to serve
"""

import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from dagwire_shared.errors import DagwireError
from dagwire_shared.events.values import ErrorInfo

_PACKAGE: Final = str(Path(__file__).parent) + os.sep
_MAX_CAUSES: Final = 10
_MAX_FRAMES: Final = 60
_MAX_MESSAGE: Final = 10_000


class DefinitionError(DagwireError, ValueError):
    """Correct the definition that the message names; nothing has run."""


class ConfigFault(NamedTuple):
    """One place of a run config that does not fit."""

    path: tuple[str, ...]
    """``("ops", "load", "config", "limit")``."""
    message: str


class InvalidConfigError(DagwireError, ValueError):
    """Correct each listed place of the run config."""

    def __init__(self, subject: str, faults: Iterable[ConfigFault]) -> None:
        self.faults: Final = list(faults)
        """Every place that does not fit."""
        lines = [f"  {'.'.join(fault.path) or 'run config'}: {fault.message}" for fault in self.faults]
        super().__init__("\n".join([f"the run config does not fit {subject}:", *lines]))


class InvocationError(DagwireError, TypeError):
    """Call it as the message says."""


class ExecutionError(DagwireError):
    """Correct the op that the message names, then run again."""


class TypeCheckError(ExecutionError, TypeError):
    """Return or pass a value of the annotated type, or correct the annotation."""


class OutputMissingError(ExecutionError):
    """Keep outputs where the steps that need them can reach them: the message says where this one was looked for."""


class StepProcessError(ExecutionError):
    """Look at how the step's process ended: the message names the signal or exit code."""


class StepWorkerError(ExecutionError):
    """Look at how the step's worker ended: the message says what the launcher saw of it."""


class CodeLoadError(DagwireError):
    """Correct the user code as ``error`` shows, or point at the file, module or attribute that exists."""

    def __init__(self, error: ErrorInfo) -> None:
        super().__init__(f"{error.type}: {error.message}")
        self.error: Final = error
        """What happened, with its stack and causes."""


def error_info(error: BaseException) -> ErrorInfo:
    """Return an exception with its chain of causes, as text. Frames of Dagwire itself are left out at the start."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(chain) < _MAX_CAUSES and current not in chain:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    info: ErrorInfo | None = None
    for one in reversed(chain):
        info = ErrorInfo(type=_type_name(one), message=_message(one), stack=_frames(one), cause=info)
    assert info is not None  # noqa: S101 -- the chain holds at least ``error``
    return info


def call_site() -> str:
    """Return ``file.py:12`` of the nearest caller outside of Dagwire: where the user wrote it."""
    frame = sys._getframe(1)  # noqa: SLF001 -- the stdlib's cheap way; inspect.stack reads files
    while frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _type_name(error: BaseException) -> str:
    cls = type(error)
    if cls.__module__.startswith("dagwire."):
        return f"dagwire.{cls.__qualname__}"
    return cls.__qualname__ if cls.__module__ in {"builtins", "__main__"} else f"{cls.__module__}.{cls.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as problem:  # noqa: BLE001 -- a user's __str__ may raise anything
        text = f"(its message cannot be shown: {problem!r})"
    if isinstance(error, BaseExceptionGroup):
        text = "; ".join([text, *(f"{_type_name(one)}: {_message(one)}" for one in error.exceptions[:_MAX_CAUSES])])
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}… ({len(text)} characters)"


def _frames(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    first = next((n for n, frame in enumerate(frames) if not frame.filename.startswith(_PACKAGE)), 0)
    texts = [line.rstrip("\n").removeprefix("  ") for line in traceback.format_list(frames[first:])]
    if len(texts) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        texts = [*texts[:half], f"… {len(texts) - _MAX_FRAMES} more frames …", *texts[-half:]]
    return texts
