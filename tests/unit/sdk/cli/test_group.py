import subprocess
import sys
from importlib.metadata import EntryPoint

import click
import pytest
from click.testing import CliRunner
from dagwire.cli import cli, group
from support.fakedagit import RUN_ID


def run(*arguments: str):
    return CliRunner().invoke(cli, list(arguments), prog_name="dagwire")


@pytest.fixture
def without_others(monkeypatch):
    """No other distribution is installed."""
    monkeypatch.setattr(group, "entry_points", lambda **_: [])


def test_a_command_of_a_missing_distribution_says_what_to_install(without_others):
    result = run("up")

    assert result.exit_code == 2
    assert click.unstyle(result.stderr) == (
        "Error: `dagwire up` comes with another distribution: pip install dagwire-standalone\n"
    )


def test_help_lists_it_all_the_same(without_others):
    assert "up           Start every part of Dagwire on this machine." in run("--help").output


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    for name in [name for name in sys.modules if name.startswith("dagwire.cli.") and name != "dagwire.cli.group"]:
        monkeypatch.delitem(sys.modules, name)
    result = run("job", "list")

    assert result.exit_code == 2
    assert "`dagwire job` needs the library 'httpx': pip install 'dagwire[cli]'" in click.unstyle(result.stderr)


def an_entry_point(monkeypatch, target: str) -> None:
    points = [EntryPoint("extra", target, group.ENTRY_POINTS)]
    monkeypatch.setattr(group, "entry_points", lambda **_: points)


def test_another_distribution_adds_a_command(monkeypatch):
    an_entry_point(monkeypatch, "dagwire.cli.api:api")

    assert "grpc-health-check" in run("extra", "--help").output


@pytest.mark.parametrize("target", ["dagwire.cli.api:absent", "dagwire.cli.api:_Api", "absent_module:command"])
def test_a_broken_command_of_another_distribution_breaks_only_itself(monkeypatch, target):
    an_entry_point(monkeypatch, target)

    assert run("extra").exit_code != 0
    assert "Error: `dagwire extra`" in click.unstyle(run("extra").stderr)
    assert run("--help").exit_code == 0


def main(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dagwire.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_an_unknown_command_ends_with_2():
    assert main("nope").returncode == 2


def test_help_ends_with_0():
    assert main("--help").returncode == 0


def test_a_fault_of_our_own_is_one_line(monkeypatch, capsys):
    def broken(**_: object) -> None:
        raise RuntimeError("loose screw")

    monkeypatch.setattr(cli, "main", broken)

    assert group._run() == 70
    error = capsys.readouterr().err
    assert "loose screw" in error
    assert "Traceback" not in error


def test_an_interrupt_ends_with_130(monkeypatch):
    def interrupted(**_: object) -> None:
        raise click.Abort

    monkeypatch.setattr(cli, "main", interrupted)

    assert group._run() == 130


def test_the_command_line_imports_no_server_and_no_http_client():
    script = (
        "import dagwire.cli, sys;"
        "print([name for name in ('grpc', 'httpx', 'watchfiles', 'yaml', 'dagwire_protos') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_a_reader_who_has_seen_enough_ends_it_quietly(dagit):
    command = f"{sys.executable} -m dagwire.cli run logs {RUN_ID} --url {dagit.url} | true; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, check=True)

    assert (result.stdout, result.stderr) == ("0\n", "")
