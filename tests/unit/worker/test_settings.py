"""The worker's settings, and its command line."""

from dataclasses import fields
from pathlib import Path

import pytest
from dagwire.worker.arguments import read_arguments, read_launch
from dagwire.worker.settings import PREFIX, Settings, load_settings
from dagwire_shared.errors import MalformedMessageError, SettingsError
from dagwire_shared.ids import run_id_for
from support.launching import a_request, launch_body, request_message


def test_settings_come_from_the_environment():
    found = load_settings(
        {
            f"{PREFIX}NATS_URL": "nats://w@h",
            f"{PREFIX}SPOOL_DIRECTORY": "/spool",
            f"{PREFIX}SPOOL_LIMIT_BYTES": "5",
            f"{PREFIX}FINISH_TIMEOUT_SECONDS": "1.5",
            "OTHER": "x",
        }
    )
    assert found == Settings(
        nats_url="nats://w@h", spool_directory=Path("/spool"), spool_limit_bytes=5, finish_timeout_seconds=1.5
    )


def test_wrong_settings_are_all_named_at_once():
    with pytest.raises(SettingsError) as caught:
        load_settings({f"{PREFIX}SPOOL_LIMIT_BYTES": "much", f"{PREFIX}FINISH_TIMEOUT_SECONDS": "-1"})
    assert "DAGWIRE_WORKER_SPOOL_LIMIT_BYTES: is not a number" in str(caught.value)
    assert "DAGWIRE_WORKER_FINISH_TIMEOUT_SECONDS: is less than 0" in str(caught.value)


def test_every_setting_has_a_default():
    assert load_settings({}) == Settings()
    assert fields(Settings)


def test_the_command_line_points_to_the_code():
    found = read_arguments(["--launch", "l", "-f", "repo.py", "-a", "team", "-d", "/code"])
    assert found.launch_file == Path("l")
    assert (found.pointer.python_file, found.pointer.attribute) == ("repo.py", "team")
    assert found.pointer.working_directory == "/code"


def test_without_a_launch_file_the_message_is_in_the_environment():
    assert read_arguments(["-f", "repo.py"]).launch_file is None


@pytest.mark.parametrize("arguments", [[], ["--launch", "l"], ["--launch", "l", "-f", "a", "-m", "b"]])
def test_a_wrong_command_line_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        read_arguments(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_launch_message_holds_the_order_and_the_trace():
    launch = read_launch(launch_body(a_request("k"), traceparent="00-a-b-01"))
    assert launch.order.run_id == run_id_for("k")
    assert launch.traceparent == "00-a-b-01"


def test_what_is_no_launch_message_is_said_to_be_none():
    with pytest.raises(MalformedMessageError, match=r"not a dagwire\.command\.launch_run"):
        read_launch(request_message(a_request("k")).body)
