"""The command line against a real Dagit: what scripts see, and a live log over a Dagit that dies."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.standalone import Standalone, wait_until

REPO = Path(__file__).parent / "repo.py"
pytestmark = [pytest.mark.xdist_group("cli"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def dagwire(module_data_directory):
    standalone = Standalone(module_data_directory, "-f", str(REPO))
    standalone.start()
    yield standalone
    standalone.stop()


def command(dagwire: Standalone, *arguments: str, **given: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dagwire.cli", *arguments],
        env={**os.environ, "DAGWIRE_URL": dagwire.url, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **given,
    )


@pytest.fixture
def run(dagwire) -> Callable[..., tuple[int, str, str]]:
    """Run a command to its end; return exit code, stdout and stderr."""

    def run_(*arguments: str) -> tuple[int, str, str]:
        process = command(dagwire, *arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return run_


def gate(directory: Path) -> str:
    return json.dumps({"ops": {"wait_at_gate": {"config": {"directory": str(directory)}}}})


def test_jobs_are_listed_and_shown(run):
    code, out, _ = run("job", "list", "--json")
    shown = run("job", "show", "chatty")

    assert code == 0
    assert {job["name"] for job in json.loads(out)} == {"chatty", "gated"}
    assert shown[0] == 0
    assert "double  begin.result  result: int" in shown[1]


def test_a_run_is_launched_waited_for_and_shown(run):
    code, out, err = run("job", "launch", "chatty", "--tag", "from=test", "--wait")
    run_id = out.strip()

    assert (code, len(run_id)) == (0, 36)
    assert "begin  succeeded in" in err
    assert "run succeeded in" in err
    code, out, _ = wait_until(lambda: (found := run("run", "show", run_id, "--json"))[0] == 0 and found)
    found = json.loads(out)
    assert found["requested_by"]["kind"] == "cli"
    assert found["tags"]["from"] == "test"


def test_the_log_is_what_is_stored_in_order(dagwire, run):
    run_id = run("job", "launch", "chatty", "-c", '{"ops": {"begin": {"config": {"count": 2500}}}}', "--wait")[
        1
    ].strip()
    code, out, _ = run("run", "logs", run_id, "--follow", "--json")
    followed = [json.loads(line) for line in out.splitlines()]

    assert code == 0
    stored = wait_until(lambda: len(rows := dagwire.stored_events(run_id)) == len(followed) and rows)
    assert [(int(item["cursor"].split("-")[1]), item["event"]["id"]) for item in followed] == stored
    assert [json.loads(line) for line in run("run", "logs", run_id, "--json")[1].splitlines()] == followed


def test_a_run_that_fails_ends_with_1_and_tells_why(run, tmp_path):
    code, _, err = run("job", "launch", "gated", "--config", gate(tmp_path / "absent"), "--wait")

    assert code == 1
    assert "FileNotFoundError" in err


def test_a_config_that_does_not_fit_ends_with_4_and_its_paths(run):
    code, out, err = run("job", "launch", "chatty", "-c", '{"ops": {"begin": {"config": {"count": "many"}}, "x": {}}}')

    assert (code, out) == (4, "")
    assert "\n  ops.begin.config.count: Input should be a valid integer\n" in err
    assert "\n  ops.x: there is no 'x' here" in err


def test_an_unknown_run_ends_with_6(run):
    assert run("run", "show", "0a1b2c3d-0000-5000-8000-000000000001")[0] == 6


def test_one_key_is_one_run(run):
    first = run("job", "launch", "chatty", "--idempotency-key", "cli-key")[1]
    code, second, err = run("job", "launch", "chatty", "--idempotency-key", "cli-key")

    assert (code, second) == (0, first)
    assert "no second one was started" in err


def test_a_live_log_misses_and_repeats_nothing_when_dagit_is_killed(dagwire, run, tmp_path):
    run_id = run("job", "launch", "gated", "--config", gate(tmp_path))[1].strip()
    wait_until((tmp_path / "waiting").exists)
    following = command(dagwire, "run", "logs", run_id, "--follow", "--json")
    assert following.stdout is not None
    lines = [following.stdout.readline() for _ in range(20)]
    dead = dagwire.kill_part("dagwire_dagit")
    wait_until(lambda: any(pid != dead for pid in dagwire.pids("dagwire_dagit")))
    (tmp_path / "open").touch()
    lines += following.stdout.readlines()  # not communicate(): it would miss what readline() has read ahead
    following.wait(60)
    seen = [json.loads(line) for line in lines]

    assert following.returncode == 0
    assert seen[-1]["event"]["type"] == "dagwire.run.succeeded"
    messages = [item["event"]["data"]["message"] for item in seen if item["event"]["type"] == "dagwire.log.written"]
    assert messages == [f"waiting {number}" for number in range(len(messages))]
    stored = wait_until(lambda: len(rows := dagwire.stored_events(run_id)) == len(seen) and rows)
    assert [item["event"]["id"] for item in seen] == [event_id for _, event_id in stored]


def test_a_run_is_cancelled_and_refuses_a_second_cancel(run, tmp_path):
    run_id = run("job", "launch", "gated", "--config", gate(tmp_path))[1].strip()
    wait_until((tmp_path / "waiting").exists)

    assert run("run", "cancel", run_id, "--wait")[0] == 0
    wait_until(lambda: json.loads(run("run", "show", run_id, "--json")[1])["status"] == "CANCELED")
    assert run("run", "cancel", run_id)[0] == 4


def test_a_schedule_is_switched_and_previewed(run):
    assert json.loads(run("schedule", "start", "every_second", "--json")[1])["status"] == "RUNNING"
    assert json.loads(run("schedule", "stop", "every_second", "--json")[1])["status"] == "STOPPED"
    assert len(json.loads(run("schedule", "preview", "every_second", "-n", "3", "--json")[1])["ticks"]) == 3
    assert "STOPPED" in run("schedule", "list")[1]
