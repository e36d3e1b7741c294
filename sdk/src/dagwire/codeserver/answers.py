"""Small values as messages, and back: errors, pointers, times, config texts. Pure."""

import json
from datetime import datetime
from typing import Any

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.errors import DagwireError
from dagwire_shared.events.values import ErrorInfo
from dagwire_shared.records import CodePointer
from google.protobuf.timestamp_pb2 import Timestamp

from dagwire.errors import ConfigFault


class BadRequestError(DagwireError, ValueError):
    """Correct the request as the message says."""


def error(info: ErrorInfo) -> pb.Error:
    """Return an exception with its causes as a message."""
    cause = None if info.cause is None else error(info.cause)
    return pb.Error(type=info.type, message=info.message, stack=info.stack, cause=cause)


def pointer(value: CodePointer) -> pb.CodePointer:
    """Return how the code is found as a message."""
    message = pb.CodePointer(working_directory=value.working_directory, executable=value.executable)
    for name in ("python_file", "module_name", "package_name", "attribute"):
        given = getattr(value, name)
        if given is not None:
            setattr(message, name, given)
    return message


def timestamp(moment: datetime) -> Timestamp:
    """Return an aware time as a message."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def config_error(fault: ConfigFault) -> pb.ConfigError:
    """Return one fault of a config as a message."""
    return pb.ConfigError(path=fault.path, message=fault.message)


def run_config(text: str) -> dict[str, Any]:
    """Return the run config of a request; an empty text is an empty config.

    Raises:
        BadRequestError: it is no JSON object.
    """
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError as fault:
        raise BadRequestError(f"run_config_json is no JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise BadRequestError(f"run_config_json is no JSON object but a {type(value).__name__}")
    return value
