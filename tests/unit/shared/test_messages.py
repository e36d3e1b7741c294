"""The wire form of every message type: golden files, schemas, and what unknown or broken input becomes."""

import json
import os
from pathlib import Path

import jsonschema
import pytest
from dagwire_shared.asyncapi import document, message_schema
from dagwire_shared.commands import COMMAND_TYPES, LaunchRun
from dagwire_shared.envelope import decode, encode, event_message
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.events import EVENT_TYPES
from dagwire_shared.records import CodeLocation
from dagwire_shared.subjects import Kind
from support.samples import AT, COMMANDS, EVENTS, RUN, SCHEDULE

GOLDEN = Path(__file__).parents[2] / "golden" / "messages"
SAMPLES = {sample.TYPE: sample for sample in (*EVENTS, *COMMANDS)}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def wire_form(type_name: str) -> bytes:
    sample = SAMPLES[type_name]
    subject = SCHEDULE if getattr(sample, "KIND", None) is Kind.TICK else RUN
    return encode(sample, id=f"{subject}:1:7", source="/dagwire/sample", subject=subject, time=AT, traceparent=TRACE)


def test_every_event_and_command_type_has_a_sample():
    assert SAMPLES.keys() == EVENT_TYPES.keys() | COMMAND_TYPES.keys()


@pytest.mark.parametrize("type_name", sorted(SAMPLES))
def test_the_wire_form_is_the_golden_file(type_name):
    golden = GOLDEN / f"{type_name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(json.dumps(json.loads(wire_form(type_name)), indent=2) + "\n")
    assert json.loads(wire_form(type_name)) == json.loads(golden.read_text())


@pytest.mark.parametrize("type_name", sorted(SAMPLES))
def test_a_golden_message_decodes_to_the_sample(type_name):
    envelope = decode((GOLDEN / f"{type_name}.json").read_bytes())
    assert (envelope.event or envelope.command) == SAMPLES[type_name]
    assert envelope.traceparent == TRACE


@pytest.mark.parametrize("type_name", sorted(SAMPLES))
def test_a_golden_message_fits_its_schema(type_name):
    jsonschema.validate(json.loads(wire_form(type_name)), message_schema(type_name))


def test_an_order_of_an_older_launcher_is_understood():
    older = json.loads(wire_form("dagwire.command.launch_run"))
    del older["data"]["code"]
    order = decode(json.dumps(older).encode()).command
    assert isinstance(order, LaunchRun)
    assert (order.code, order.priority) == (None, 3)


def test_a_record_of_an_older_scheduler_is_understood():
    pointer = {"python_file": "/app/repo.py", "working_directory": "/app", "executable": "python"}
    older = {"name": "etl", "definitions_hash": "abc", "pointer": pointer, "repositories": {"main": ["daily"]}}
    record = CodeLocation.model_validate_json(json.dumps(older))
    assert (record.container_context, record.container_configs) == ({}, {})


def test_the_schema_refuses_what_the_code_refuses():
    broken = json.loads(wire_form("dagwire.step.started"))
    del broken["data"]["step_key"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, message_schema("dagwire.step.started"))
    with pytest.raises(MalformedMessageError, match="step_key: Field required"):
        decode(json.dumps(broken).encode()).event  # noqa: B018 -- reading it decodes it


def test_every_event_type_is_documented_in_the_asyncapi_document():
    messages = document()["components"]["messages"]
    assert {message["name"] for message in messages.values()} == SAMPLES.keys()
    assert all(message["summary"] for message in messages.values())


def test_an_event_is_published_on_the_subject_of_its_run_and_kind():
    message = event_message(EVENTS[0], id="x", source="/dagwire/launcher", subject=RUN, time=AT)
    assert message.subject == f"dagwire.v1.event.{RUN[0]}.{RUN}.launch"
    assert message.id == "x"


def test_an_unknown_type_is_readable_as_an_envelope():
    body = json.dumps({**json.loads(wire_form("dagwire.run.started")), "type": "dagwire.run.blessed", "extra": 1})
    envelope = decode(body.encode())
    assert envelope.event is None
    assert envelope.data["pid"] == 4711


def test_fields_of_a_newer_version_are_ignored():
    newer = json.loads(wire_form("dagwire.run.started"))
    newer["data"]["mood"] = "good"
    assert decode(json.dumps(newer).encode()).event == SAMPLES["dagwire.run.started"]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not a JSON object but list"),
        (b'{"specversion": "1.0"}', "id: Field required"),
        (b'{"id":"1","source":"/x","type":"t","subject":"s","time":"2026-01-01T00:00:00"}', "time"),
    ],
)
def test_bytes_that_are_no_envelope_are_refused_with_the_reason(body, complaint):
    with pytest.raises(MalformedMessageError, match=complaint):
        decode(body)
