import pytest
from click.testing import CliRunner
from dagwire.cli import cli, serve
from dagwire.codeserver.settings import CodeServerSettings


@pytest.fixture
def started(monkeypatch) -> list[CodeServerSettings]:
    """The settings that a server would have been started with."""
    settings: list[CodeServerSettings] = []

    async def fake(given: CodeServerSettings) -> None:
        settings.append(given)

    monkeypatch.setattr(serve, "run_server", fake)
    monkeypatch.setattr(serve, "configure_logging", lambda **_: None)
    return settings


def run(*arguments: str, command: tuple[str, str] = ("api", "grpc"), **env: str):
    return CliRunner().invoke(cli, [*command, *arguments], env=env)


def test_a_file_becomes_an_absolute_pointer(started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("-f", "inner/repo.py", "-p", "4000")
    pointer = started[0].pointer

    assert pointer.python_file == str(tmp_path / "inner/repo.py")
    assert pointer.working_directory == str(tmp_path)


def test_settings_come_from_the_environment(started, tmp_path):
    run(
        DAGWIRE_MODULE_NAME="jobs",
        DAGWIRE_GRPC_PORT="4001",
        DAGWIRE_GRPC_HOST="0.0.0.0",  # noqa: S104
        DAGWIRE_WORKING_DIRECTORY=str(tmp_path),
        DAGWIRE_CURRENT_IMAGE="team/code:7",
        DAGWIRE_LIBRARIES="polars duckdb",
    )
    settings = started[0]

    assert (settings.pointer.module_name, settings.port, settings.image) == ("jobs", 4001, "team/code:7")
    assert settings.pointer.working_directory == str(tmp_path)
    assert settings.libraries == ("polars", "duckdb")


def test_code_on_the_command_line_beats_code_in_the_environment(started):
    run("-m", "jobs", "-p", "0", DAGWIRE_PYTHON_FILE="repo.py")

    assert (started[0].pointer.module_name, started[0].pointer.python_file) == ("jobs", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "0"], "nothing named: name the code by exactly one of -f, -m, --package-name"),
        (["-p", "0", "-f", "a.py", "-m", "b"], "-f and -m named: name the code by exactly one"),
        (["-m", "b"], "Missing option '-p'"),
        (["-m", "b", "-p", "70000"], "70000 is not in the range"),
        (["-m", "b", "-p", "0", "-d", "/no/such"], "there is no folder /no/such"),
        (["-m", "b", "-p", "0", "--location-name", "a b"], "use 1 to 63 letters"),
        (["-m", "b", "-p", "0", "--ready-file", "/no/such/file"], "there is no folder /no/such"),
        (["-m", "b", "-p", "0", "--container-context", "{"], "--container-context: it is no JSON"),
        (["-m", "b", "-p", "0", "--container-context", "[]"], "no JSON object of the form"),
        (["-m", "b", "-p", "0", "--container-context", '{"k8s": 1}'], "no JSON object of the form"),
    ],
)
def test_a_wrong_command_line_is_refused(started, arguments, message):
    result = run(*arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert not started


def test_the_files_own_folder_is_watched_and_the_current_directory_is_not(started, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (tmp_path / "repo.py").touch()
    run("-f", str(tmp_path / "repo.py"), "-p", "0", "--watch")

    assert started[0].watch == (tmp_path.resolve(),)


def test_a_working_directory_that_is_named_is_watched_too_and_once(started, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    run("-f", str(inner / "repo.py"), "-p", "0", "--watch", "-d", str(tmp_path))

    assert started[0].watch == (tmp_path.resolve(),)


def test_nothing_is_watched_unless_asked(started):
    run("-m", "jobs", "-p", "0")

    assert started[0].watch == ()


def test_what_pods_shall_be_like_comes_as_json_from_option_or_environment(started):
    run("-m", "jobs", "-p", "0", "--container-context", '{"k8s": {"env": []}}')
    run("-m", "jobs", "-p", "0", DAGWIRE_CONTAINER_CONTEXT=' {"k8s": {} } ')
    run("-m", "jobs", "-p", "0")

    assert [settings.container_context for settings in started] == ['{"k8s":{"env":[]}}', '{"k8s":{}}', ""]


def test_code_server_start_is_the_same_and_watches_unless_told_not_to(started, tmp_path):
    arguments = ("-f", str(tmp_path / "repo.py"), "-h", "::1", "-p", "0", "--location-name", "etl")
    start = ("code-server", "start")

    assert run(*arguments, command=start).exit_code == 0
    assert run(*arguments, "--no-watch", command=start).exit_code == 0
    assert run(*arguments, command=start, DAGWIRE_GRPC_WATCH="0").exit_code == 0

    assert [settings.watch for settings in started] == [(tmp_path.resolve(),), (), ()]
    assert (started[0].host, started[0].location_name) == ("::1", "etl")
    assert "code-server start [OPTIONS]" in run("--help", command=start).stdout
