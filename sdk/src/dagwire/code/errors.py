"""What can be wrong with user code, as errors and as text that is safe to show; nothing is loaded here."""

import importlib
from pathlib import Path
from types import TracebackType
from typing import Final

from dagwire_shared.errors import DagwireError
from dagwire_shared.events.values import ErrorInfo

from dagwire.errors import CodeLoadError, error_info

_OWN_FOLDER: Final = str(Path(__file__).resolve().parent.parent)
_MACHINERY: Final = ("<frozen ", importlib.__file__)


class DefinitionNotFoundError(DagwireError, LookupError):
    """Ask for one of the names listed in the message: the code loaded, and lacks what is asked for."""


def load_error(message: str, cause: BaseException | None = None) -> CodeLoadError:
    """Return the error that says why code does not load; raise it from its cause."""
    info = None if cause is None else describe_exception(cause)
    return CodeLoadError(ErrorInfo(type=CodeLoadError.__name__, message=message, cause=info))


def describe_exception(error: BaseException) -> ErrorInfo:
    """Return an exception with its chain of causes as text, with the user's frames only.

    Unlike ``error_info`` it leaves out the import machinery, and shows where code cannot be parsed.
    """
    return _of_user(error_info(error), error)


def users_traceback(error: BaseException) -> TracebackType | None:
    """Return an exception's traceback from its first frame of user code on; None if no user code ran."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((*_MACHINERY, _OWN_FOLDER)):
        trace = trace.tb_next
    return trace


def _of_user(info: ErrorInfo, error: BaseException) -> ErrorInfo:
    own_word = isinstance(error, DagwireError | ImportError | SyntaxError | OSError | SystemExit)
    hidden = (*_MACHINERY, _OWN_FOLDER) if own_word else _MACHINERY
    stack = [frame for frame in info.stack if not frame.startswith(tuple(f'File "{file}' for file in hidden))]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    described = None if info.cause is None or cause is None else _of_user(info.cause, cause)
    return info.model_copy(update={"stack": [*stack, *_syntax_frame(error)], "cause": described})


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
