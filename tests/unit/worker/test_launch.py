"""Where a run worker finds its launch message."""

import base64
import random
import zlib

import pytest
from dagwire.worker.launch import VARIABLE, launch_message
from dagwire_launcher.command import launch_environment
from dagwire_shared.errors import MalformedMessageError
from support.launching import a_request, launch_body


def test_a_launch_file_holds_the_message_as_it_is(tmp_path):
    file = tmp_path / "launch.json"
    file.write_bytes(b"as it is")
    assert launch_message(file, {VARIABLE: "not read"}) == b"as it is"


def test_a_launch_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MalformedMessageError, match=r"launch\.json cannot be read: No such file"):
        launch_message(tmp_path / "launch.json", {})


def test_what_the_launcher_puts_into_the_environment_is_what_the_worker_reads():
    message = launch_body(a_request("k"))
    found = launch_environment(message)
    assert set(found) == {VARIABLE}
    assert launch_message(None, found) == message


def test_a_message_that_one_variable_cannot_hold_goes_on_in_more():
    message = random.Random(7).randbytes(300 * 1024)
    found = launch_environment(message)
    assert set(found) == {VARIABLE, *(f"{VARIABLE}_{number}" for number in (1, 2, 3, 4))}
    assert all(len(f"{name}={value}") < 128 * 1024 for name, value in found.items())
    assert launch_message(None, dict(reversed(found.items()))) == message


def test_a_worker_without_a_message_is_told_where_it_looked():
    with pytest.raises(MalformedMessageError, match=f"--launch FILE; or set {VARIABLE}"):
        launch_message(None, {})


@pytest.mark.parametrize(
    "text",
    [
        "no base64!",
        base64.b64encode(b"no zlib").decode(),
        base64.b64encode(zlib.compress(b"cut off" * 100)[:-8]).decode(),
        base64.b64encode(zlib.compress(bytes(8 * 1024 * 1024))).decode(),
    ],
)
def test_a_message_that_cannot_be_unpacked_is_said_to_be_so(text):
    with pytest.raises(MalformedMessageError, match=f"{VARIABLE} cannot be unpacked"):
        launch_message(None, {VARIABLE: text})
