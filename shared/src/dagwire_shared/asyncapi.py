"""The AsyncAPI 3 document of the bus, derived from the definitions of events, commands, subjects and streams.

Pure: ``docs/generate.py`` writes it to ``docs/reference/asyncapi.yaml``, and a test holds live traffic against it.
"""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from dagwire_shared.commands import CancelRun, Command, LaunchRun, RequestRun
from dagwire_shared.envelope import CONTENT_TYPE
from dagwire_shared.events import EVENT_TYPES, EventBase
from dagwire_shared.streams import CONTROL, DEAD, EVENTS, QUEUE, REQUESTS, Stream
from dagwire_shared.subjects import ROOT, Kind

Document = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_COMMANDS: Final[tuple[type[Command], ...]] = (RequestRun, CancelRun, LaunchRun)

_KIND_WRITERS: Final = {
    Kind.LAUNCH: ("a run", "the launcher", "what happens to a run outside its worker"),
    Kind.WORKER: ("a run", "the launcher", "what the platform does to its workers"),
    Kind.RUN: ("a run", "the run worker", "the run as a whole"),
    Kind.STEP: ("a run", "the run worker", "its steps"),
    Kind.DATA: ("a run", "the run worker", "what its steps read and make"),
    Kind.LOG: ("a run", "the run worker", "log lines, stdout and stderr"),
    Kind.ENGINE: ("a run", "the run worker", "the execution itself"),
    Kind.ORDER: ("a run", "the run worker", "the step workers that it asks the launcher for"),
    Kind.TICK: ("a schedule", "the scheduler", "ticks and switches of a schedule"),
}


def document() -> Document:
    """Return the whole document as plain data, in a stable order."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "The Dagwire bus",
            "version": version("dagwire-shared"),
            "description": (
                "Everything that Dagwire's parts say to each other, over NATS JetStream. The bus is a public "
                "interface: publish a request to start a run, follow the events to see it. Messages are "
                "CloudEvents 1.0 in structured JSON form. Readers ignore fields and types they do not know."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"nats": {"host": "localhost:4222", "protocol": "nats"}},
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def message_schema(type_name: str) -> Document:
    """Return a self-contained JSON Schema of one message by its CloudEvents type.

    Raises:
        KeyError: no event or command has this type.
    """
    message = next(found for found in _messages().values() if found["name"] == type_name)
    return {**message["payload"], "components": {"schemas": _schemas()}}


def _channels() -> Document:
    channels: Document = {
        "requests": _channel(
            REQUESTS,
            f"{ROOT}.request.{{keyHash}}",
            {"keyHash": "The first 32 hex digits of the SHA-256 of the request's idempotency key."},
            [RequestRun],
        ),
        "control": _channel(CONTROL, f"{ROOT}.control.{{runId}}", {"runId": "The run's id."}, [CancelRun]),
        "queue": _channel(QUEUE, f"{ROOT}.queue.{{runId}}", {"runId": "The run's id."}, [LaunchRun]),
    }
    for kind, (aggregate, writer, about) in _KIND_WRITERS.items():
        name = "scheduleId" if kind is Kind.TICK else "runId"
        channels[f"{kind}Events"] = _channel(
            EVENTS,
            f"{ROOT}.event.{{shard}}.{{{name}}}.{kind}",
            {"shard": f"The first hex digit of the {name}.", name: f"The id of {aggregate}."},
            [event for event in EVENT_TYPES.values() if event.KIND is kind],
        )
        channels[f"{kind}Events"]["description"] = f"Facts about {about}; written by {writer} alone."
    channels["dead"] = {
        "address": f"{ROOT}.dead.{{stream}}",
        "title": DEAD.name,
        "description": f"{DEAD.purpose} The body is as it came; the header Dagwire-Cause says why.",
        "parameters": {"stream": {"description": "The stream it was read from."}},
    }
    return channels


def _channel(stream: Stream, address: str, parameters: dict[str, str], messages: list[Any]) -> Document:
    return {
        "address": address,
        "title": stream.name,
        "description": stream.purpose,
        "parameters": {name: {"description": text} for name, text in parameters.items()},
        "messages": {model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model in messages},
    }


def _operations() -> Document:
    operations: Document = {
        "requestRun": _operation(
            "receive", "requests", "Publish here to ask for a run; an acknowledgement means accepted."
        ),
        "cancelRun": _operation("receive", "control", "Publish here to end a run."),
        "queueRun": _operation("send", "queue", "What waits to be launched. Read it to see the queue; never write it."),
    }
    for kind, (_, writer, about) in _KIND_WRITERS.items():
        operations[f"{kind}Events"] = _operation(
            "send", f"{kind}Events", f"Follow to hear from {writer} about {about}."
        )
    return operations


def _operation(action: str, channel: str, summary: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


@cache
def _messages() -> Document:
    return {model.__name__: _message(model) for model in (*EVENT_TYPES.values(), *_COMMANDS)}


def _message(model: type[EventBase] | type[Command]) -> Document:
    return {
        "name": model.TYPE,
        "title": model.__name__,
        "summary": " ".join((model.__doc__ or "").split()),
        "contentType": CONTENT_TYPE,
        "payload": {
            "type": "object",
            "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Unique within its source; the Nats-Msg-Id ends in it.",
                },
                "source": {"type": "string", "format": "uri-reference", "description": "Who says it."},
                "type": {"const": model.TYPE},
                "subject": {"type": "string", "description": "The id of the run or the schedule that it is about."},
                "time": {"type": "string", "format": "date-time"},
                "datacontenttype": {"const": "application/json"},
                "traceparent": {"type": "string", "description": "W3C trace context."},
                "data": {"$ref": _REF.format(model=model.__name__)},
            },
        },
    }


@cache  # half a second: a schema of each model is made
def _schemas() -> Document:
    models = [(model, "validation") for model in (*EVENT_TYPES.values(), *_COMMANDS)]
    _, definitions = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type] # mode is a Literal
    schemas: Document = definitions["$defs"]
    return dict(sorted(schemas.items()))
