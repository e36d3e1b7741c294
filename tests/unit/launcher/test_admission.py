"""What becomes of a request."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagwire_launcher.admission import (
    LARGEST_REQUEST,
    LATEST_KEY,
    PRIORITY_TAG,
    WITNESS_AGE,
    Next,
    launch_order,
    needs_witness,
    next_step,
    priority,
    queued,
    read_request,
    unknown_location,
    with_origin,
)
from dagwire_launcher.errors import RequestRefusedError
from dagwire_shared.commands import RequestRun, RunCode
from dagwire_shared.events import Origin, RequestedBy, RunDropped, RunLaunched, RunQueued
from dagwire_shared.ids import run_id_for
from dagwire_shared.streams import EVENTS, REQUESTS
from dagwire_shared.subjects import request_subject
from support.launching import a_request, launch_body, request_message
from support.launchworld import HERE

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def asked(**fields: Any) -> RequestRun:
    return a_request(fields.pop("key", "k"), **{"key_time": NOW, **fields})


def read(request=None, *, body=None, subject=None):
    message = request_message(request or asked(), traceparent=TRACE)
    return read_request(subject or message.subject, message.body if body is None else body, now=NOW)


def test_a_good_request_is_read_with_its_run_id_and_trace():
    admission = read()
    assert admission.run_id == run_id_for("k")
    assert admission.request == asked()
    assert admission.traceparent == TRACE


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"no json", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "envelope"),
        (launch_body(asked()), "launch_run was published where"),
        (request_message(asked()).body.replace(b'"job":"one_op"', b'"job":"one op"'), "job"),
        (request_message(asked()).body.replace(b"request_run", b"make_coffee"), "not a command"),
        (b" " * (LARGEST_REQUEST + 1), "at most"),
    ],
)
def test_what_is_no_request_is_refused_with_the_cause(body, cause):
    with pytest.raises(RequestRefusedError, match=cause):
        read(body=body)


def test_a_request_on_another_keys_subject_is_refused():
    with pytest.raises(RequestRefusedError, match="subject of this key"):
        read(subject=request_subject("another"))


def test_a_key_from_far_in_the_future_is_refused():
    read(asked(key_time=NOW + LATEST_KEY))
    with pytest.raises(RequestRefusedError, match="future"):
        read(asked(key_time=NOW + LATEST_KEY + timedelta(seconds=1)))


def test_only_an_old_key_or_an_old_message_needs_the_event_store():
    def needs(key_age, message_age):
        return needs_witness(asked(key_time=NOW - key_age), stored=NOW - message_age, now=NOW)

    young, old = timedelta(0), WITNESS_AGE + timedelta(seconds=1)
    assert not needs(young, young)
    assert not needs(WITNESS_AGE, WITNESS_AGE)
    assert needs(old, young)
    assert needs(young, old)


def test_no_key_is_young_enough_to_be_trusted_after_the_streams_forgot_it():
    # A key is trusted from LATEST_KEY before its time to WITNESS_AGE after it.
    assert REQUESTS.max_age > LATEST_KEY + WITNESS_AGE
    assert EVENTS.max_age > WITNESS_AGE


QUEUED = queued(asked())
PATIENCE = timedelta(seconds=20)


@pytest.mark.parametrize(
    ("last", "located", "waited", "step"),
    [
        (QUEUED, True, 0, Next.ENQUEUE),
        (QUEUED, True, 100, Next.ENQUEUE),
        (QUEUED, False, 0, Next.WAIT),
        (QUEUED, False, 20, Next.LOSE),
        (RunLaunched(backend="process", worker="1"), True, 0, Next.DONE),
        (RunDropped(requested_by=RequestedBy(kind="bus")), False, 0, Next.DONE),
        (None, True, 0, Next.DONE),
    ],
)
def test_a_recorded_run_gets_what_it_needs_next(last, located, waited, step):
    found = next_step(last, located=located, waited=timedelta(seconds=waited), patience=PATIENCE)
    assert found is step


def test_a_queued_run_says_all_that_was_asked():
    request = asked(
        preset="small",
        run_config={"a": 1},
        tags={PRIORITY_TAG: "3"},
        requested_by=RequestedBy(kind="api", name="ada"),
        repository="team",
    )
    event = queued(request)
    assert event == RunQueued(
        key="k",
        location="here",
        repository="team",
        job="one_op",
        preset="small",
        run_config={"a": 1},
        tags={PRIORITY_TAG: "3"},
        requested_by=RequestedBy(kind="api", name="ada"),
        requested_at=NOW,
        priority=3,
    )
    assert launch_order(read(request), HERE).priority == 3


@pytest.mark.parametrize(
    ("tag", "number"),
    [(None, 0), ("5", 5), ("-2", -2), ("high", 0), ("1.5", 0), ("9" * 30, 1_000_000), ("-" + "9" * 30, -1_000_000)],
)
def test_a_priority_is_a_whole_number_or_nothing(tag, number):
    assert priority({} if tag is None else {PRIORITY_TAG: tag}) == number


def test_the_code_version_is_filled_in_unless_the_request_names_one():
    place = HERE.model_copy(update={"image": "team:1"})
    assert with_origin(asked(), place).origin == Origin(image="team:1", definitions_hash="abc")
    named = asked(origin=Origin(image="team:0"))
    assert with_origin(named, place) == named
    assert with_origin(asked(), None) == asked()


def test_a_run_of_an_unknown_location_is_lost_with_a_hint():
    event = unknown_location(asked(location="nowhere"))
    assert event.cause == "code_location_unknown"
    assert "'nowhere'" in event.message


def test_a_run_is_pinned_to_what_its_location_serves_when_it_is_admitted():
    place = HERE.model_copy(
        update={
            "image": "team/etl:7",
            "container_context": {"k8s": {"serviceAccountName": "etl"}},
            "container_configs": {"main": {"one_op": {"nodeSelector": {"disk": "fast"}}}, "other": {"one_op": {}}},
        }
    )
    order = launch_order(read(asked(repository="main")), place)
    assert order.code == RunCode(
        image="team/etl:7",
        pointer=HERE.pointer,
        container_context={"k8s": {"serviceAccountName": "etl"}},
        container_config={"nodeSelector": {"disk": "fast"}},
    )
    assert launch_order(read(asked(repository="main", job="quiet")), place).code.container_config == {}
    assert launch_order(read(asked()), place).code.container_config == {}


def test_who_leaves_the_repository_out_means_the_only_one():
    config = {"nodeSelector": {"disk": "fast"}}
    place = HERE.model_copy(
        update={"repositories": {"main": ["one_op"]}, "container_configs": {"main": {"one_op": config}}}
    )
    assert launch_order(read(asked()), place).code.container_config == config
    assert launch_order(read(asked(repository="other")), place).code.container_config == {}
