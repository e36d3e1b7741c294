"""Finds user code by its pointer and collects what it defines. No gRPC, no server: run workers use it too."""

from dagwire.code.collection import collect
from dagwire.code.errors import DefinitionNotFoundError, describe_exception, load_error, users_traceback
from dagwire.code.loader import Code, CodeLoader, describe, load
from dagwire.errors import CodeLoadError

__all__ = [
    "Code",
    "CodeLoadError",
    "CodeLoader",
    "DefinitionNotFoundError",
    "collect",
    "describe",
    "describe_exception",
    "load",
    "load_error",
    "users_traceback",
]
