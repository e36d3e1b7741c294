"""What can be wrong with user code, as errors and as text that is safe to show; nothing is loaded here.

DagwireError
├── CodeLoadError            the code could not be found, imported, or defines nothing usable
└── DefinitionNotFoundError  it loaded, and lacks the repository, job or schedule that is asked for
"""

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dagwire_shared.errors import DagwireError
from dagwire_shared.events.values import ErrorInfo

_OWN_FOLDER: Final = str(Path(__file__).resolve().parent.parent)
_MACHINERY: Final = ("<frozen importlib", "<frozen runpy", "<frozen zipimport")
_MOST_FRAMES: Final = 60
_MOST_CAUSES: Final = 16
_LONGEST_MESSAGE: Final = 20_000


class CodeLoadError(DagwireError):
    """Correct the code or the arguments that point to it, as the message says; then load again."""

    @property
    def info(self) -> ErrorInfo:
        """This error with its chain of causes, as text."""
        return describe_exception(self)


class DefinitionNotFoundError(DagwireError, LookupError):
    """Ask for one of the names listed in the message."""


def describe_exception(error: BaseException) -> ErrorInfo:
    """Return an exception with its chain of causes as text: user frames only, outermost first."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain and len(chain) < _MOST_CAUSES:
        chain.append(following)
        following = _cause(following)
    info: ErrorInfo | None = None
    for link in reversed(chain):
        info = ErrorInfo(type=_type_name(link), message=_message(link), stack=_stack(link), cause=info)
    assert info is not None  # noqa: S101 -- the chain holds at least `error`
    return info


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _type_name(error: BaseException) -> str:
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as fault:  # noqa: BLE001 -- an exception's own __str__ is user code
        text = f"<its message cannot be shown: {type(fault).__name__}>"
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"


def _stack(error: BaseException) -> list[str]:
    # A loader's own error has nothing to tell but its message.
    if isinstance(error, CodeLoadError | DefinitionNotFoundError):
        return []
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_MACHINERY)]
    formatted = _shortened([_formatted(frame) for frame in _of_user(frames, error)])
    return [*formatted, *_syntax_frame(error)]


def _of_user(frames: list[traceback.FrameSummary], error: BaseException) -> Iterable[traceback.FrameSummary]:
    """Leave out what Dagwire did: all of it when the error is its own word, else what came before user code."""
    users = [index for index, frame in enumerate(frames) if not frame.filename.startswith(_OWN_FOLDER)]
    if not users:
        # A module that does not exist, a syntax error: no user code ran. Anything else is a fault of ours.
        return [] if isinstance(error, ImportError | SyntaxError | SystemExit | DagwireError | OSError) else frames
    if isinstance(error, DagwireError):
        return [frames[index] for index in users]
    return frames[users[0] :]


def _formatted(frame: traceback.FrameSummary) -> str:
    place = f'File "{frame.filename}", line {frame.lineno}, in {frame.name}'
    return f"{place}\n    {frame.line}" if frame.line else place


def _shortened(frames: list[str]) -> list[str]:
    if len(frames) <= _MOST_FRAMES:
        return frames
    half = _MOST_FRAMES // 2
    return [*frames[:half], f"… {len(frames) - 2 * half} frames left out …", *frames[-half:]]


def _syntax_frame(error: BaseException) -> list[str]:
    """Return where the code cannot be parsed: the line with a mark below the place."""
    if not isinstance(error, SyntaxError) or error.filename is None:
        return []
    lines = [f'File "{error.filename}", line {error.lineno}']
    source = (error.text or "").rstrip("\n")
    code = source.lstrip()
    if code:
        lines.append(f"    {code}")
    if code and error.offset is not None and error.offset > 0:
        lines.append("    " + " " * max(0, error.offset - 1 - (len(source) - len(code))) + "^")
    return ["\n".join(lines)]
