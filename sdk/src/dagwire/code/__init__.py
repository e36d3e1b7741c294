"""Finds user code by its pointer and collects what it defines. No gRPC, no server: run workers use it too."""

from dagwire.code.collection import collect
from dagwire.code.errors import CodeLoadError, DefinitionNotFoundError, describe_exception
from dagwire.code.loader import Code, CodeLoader, load

__all__ = [
    "Code",
    "CodeLoadError",
    "CodeLoader",
    "DefinitionNotFoundError",
    "collect",
    "describe_exception",
    "load",
]
