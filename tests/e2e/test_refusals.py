"""What `dagwire up` says when it cannot start: one clear sentence, and no stack trace."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from dagwire_standalone.ports import free
from support.standalone import Standalone, wait_until

REPO = Path(__file__).parent / "repo.py"
pytestmark = [pytest.mark.xdist_group("standalone"), pytest.mark.timeout(120)]


def up(*arguments: str, cwd: Path):
    ports = [
        str(part) for option in ("--port", "--nats-port", "--postgres-port") for part in (option, free("127.0.0.1"))
    ]
    done = subprocess.run(
        [sys.executable, "-m", "dagwire.cli", "up", *ports, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("option", ["--port", "--nats-port", "--postgres-port"])
def test_a_port_in_use_is_named_with_the_option_that_changes_it(tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = up("-f", str(REPO), option, str(taken.getsockname()[1]), cwd=tmp_path)
    assert done.returncode == 1
    assert f"port {taken.getsockname()[1] if False else ''}".strip() in done.stderr
    assert option in done.stderr


def test_a_missing_file_is_named(tmp_path):
    done = up("-f", "nowhere.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "There is no file nowhere.py" in done.stderr


def test_no_code_at_all_says_how_to_name_it(tmp_path):
    assert "-f FILE" in up(cwd=tmp_path).stderr


def test_a_directory_in_use_is_refused_with_the_process_that_uses_it(tmp_path, data_directory):
    standalone = Standalone(data_directory, "-f", str(REPO))
    standalone.start()
    try:
        done = up("-f", str(REPO), "--directory", str(data_directory), cwd=tmp_path)
        assert done.returncode == 1
        assert "is in use by another `dagwire up`" in done.stderr
        assert str(standalone.pid) in done.stderr
    finally:
        standalone.stop()


def test_a_file_that_fails_to_import_is_one_sentence_and_its_trace_is_in_dagit(tmp_path, data_directory):
    broken = tmp_path / "broken.py"
    broken.write_text("import dagwire\n\nraise RuntimeError('the flux is low')\n")
    standalone = Standalone(data_directory, "-f", str(broken))
    standalone.start()
    try:
        assert "could not be imported: RuntimeError: the flux is low" in standalone.output
        assert "Traceback" not in standalone.output
        with standalone.client() as client:
            (location,) = client.get("/api/v1/locations").json()
            assert location["status"] == "FAILED"
            assert any("broken.py" in frame for frame in location["error"]["cause"]["stack"])
            broken.write_text("from dagwire import job, op\n\n@op\ndef one(): ...\n\n@job\ndef mended():\n    one()\n")
            wait_until(lambda: client.get("/api/v1/locations").json()[0]["status"] == "LOADED")
            assert client.get("/api/v1/jobs").json()[0]["name"] == "mended"
    finally:
        standalone.stop()
