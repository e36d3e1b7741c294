"""The bus is a public interface: a client that knows only the documentation starts a run and follows it.

This file imports nothing of Dagwire's. What it does is what docs/how-to/use-the-bus.md tells a stranger.
"""

import hashlib
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import nats
import pytest
import yaml
from support.standalone import Standalone

REPO = Path(__file__).parent / "repo.py"
ASYNCAPI = Path(__file__).parents[2] / "docs" / "reference" / "asyncapi.yaml"
RUN_NAMESPACE = uuid.UUID("6f1b4c1e-7d1c-5a51-9a53-0d3c6a1f6b52")
ENDED = {
    "dagwire.run.succeeded",
    "dagwire.run.failed",
    "dagwire.run.canceled",
    "dagwire.run.dropped",
    "dagwire.run.lost",
}
pytestmark = [pytest.mark.xdist_group("standalone"), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def nats_url(module_data_directory):
    standalone = Standalone(module_data_directory, "-f", str(REPO))
    standalone.start()
    yield standalone.nats_url
    standalone.stop()


def request(key, job, config):
    return json.dumps(
        {
            "specversion": "1.0",
            "id": key,
            "source": "/my/system",
            "type": "dagwire.command.request_run",
            "subject": str(uuid.uuid5(RUN_NAMESPACE, key)),
            "time": datetime.now(UTC).isoformat(),
            "data": {
                "key": key,
                "key_time": datetime.now(UTC).isoformat(),
                "location": "e2e",
                "repository": "e2e",
                "job": job,
                "run_config": config,
            },
        }
    ).encode()


def request_subject(key):
    return f"dagwire.v1.request.{hashlib.sha256(key.encode()).hexdigest()[:32]}"


async def events_of(js, run_id):
    """Every message about the run, to its end."""
    subscription = await js.subscribe(f"dagwire.v1.event.*.{run_id}.*", ordered_consumer=True)
    while True:
        message = await subscription.next_msg(timeout=30)
        event = json.loads(message.data)
        yield event
        if event["type"] in ENDED:
            await subscription.unsubscribe()
            return


def message_schemas():
    document = yaml.safe_load(ASYNCAPI.read_text())
    return {
        message["name"]: {**message["payload"], "components": document["components"]}
        for message in document["components"]["messages"].values()
    }


async def test_a_bare_nats_client_requests_a_run_and_follows_it_to_its_end(nats_url):
    connection = await nats.connect(nats_url)
    js = connection.jetstream()
    key = "stranger-1"
    body = request(key, "chatty", {"ops": {"begin": {"config": {"count": 3}}}})
    accepted = await js.publish(request_subject(key), body)
    assert accepted.stream == "DAGWIRE_REQUESTS"
    events = [event async for event in events_of(js, str(uuid.uuid5(RUN_NAMESPACE, key)))]
    assert events[0]["type"] == "dagwire.run.queued"
    assert events[-1]["type"] == "dagwire.run.succeeded"
    logs = [event["data"]["message"] for event in events if event["type"] == "dagwire.log.written"]
    assert logs == ["line 0", "line 1", "line 2"]
    await connection.close()


async def test_what_is_on_the_wire_is_what_the_asyncapi_document_says(nats_url):
    connection = await nats.connect(nats_url)
    js = connection.jetstream()
    key = "stranger-2"
    body = request(key, "chatty", {})
    schemas = message_schemas()
    jsonschema.validate(json.loads(body), schemas["dagwire.command.request_run"])
    await js.publish(request_subject(key), body)
    async for event in events_of(js, str(uuid.uuid5(RUN_NAMESPACE, key))):
        jsonschema.validate(event, schemas[event["type"]])
    await connection.close()


async def test_the_same_key_is_refused_as_already_accepted(nats_url):
    connection = await nats.connect(nats_url)
    js = connection.jetstream()
    body = request("stranger-3", "chatty", {})
    await js.publish(request_subject("stranger-3"), body)
    with pytest.raises(nats.js.errors.APIError) as refused:
        await js.publish(request_subject("stranger-3"), body)
    assert refused.value.err_code == 10077
    await connection.close()


async def test_a_request_for_a_job_that_does_not_exist_ends_as_a_failed_run_that_says_so(nats_url):
    connection = await nats.connect(nats_url)
    js = connection.jetstream()
    await js.publish(request_subject("stranger-4"), request("stranger-4", "nonsense", {}))
    run_id = str(uuid.uuid5(RUN_NAMESPACE, "stranger-4"))
    events = [event async for event in events_of(js, run_id)]
    assert events[-1]["type"] in {"dagwire.run.failed", "dagwire.run.lost"}
    assert "nonsense" in events[-1]["data"]["message"]
    await connection.close()


async def test_bytes_that_are_no_request_go_to_the_dead_letters_with_the_cause(nats_url):
    connection = await nats.connect(nats_url)
    js = connection.jetstream()
    dead = await connection.subscribe("dagwire.v1.dead.DAGWIRE_REQUESTS")
    await js.publish(request_subject("stranger-5"), b"hello?")
    letter = await dead.next_msg(timeout=30)
    assert letter.data == b"hello?"
    assert "not JSON" in letter.headers["Dagwire-Cause"]
    kept = await js.get_last_msg("DAGWIRE_DEAD", "dagwire.v1.dead.DAGWIRE_REQUESTS", direct=True)
    assert kept.data == b"hello?"
    await connection.close()


async def test_a_run_can_be_cancelled_over_the_bus(nats_url, tmp_path):
    connection = await nats.connect(nats_url)
    js = connection.jetstream()
    key = "stranger-6"
    run_id = str(uuid.uuid5(RUN_NAMESPACE, key))
    await js.publish(
        request_subject(key), request(key, "gated", {"ops": {"wait_at_gate": {"config": {"directory": str(tmp_path)}}}})
    )
    async for event in events_of(js, run_id):
        if event["type"] == "dagwire.log.written":
            break
    order = {
        "specversion": "1.0",
        "id": f"cancel-{run_id}",
        "source": "/my/system",
        "type": "dagwire.command.cancel_run",
        "subject": run_id,
        "time": datetime.now(UTC).isoformat(),
        "data": {"run_id": run_id},
    }
    await js.publish(f"dagwire.v1.control.{run_id}", json.dumps(order).encode())
    events = [event async for event in events_of(js, run_id)]
    assert events[-1]["type"] == "dagwire.run.canceled"
    await connection.close()
