"""How a run worker's process is started."""

from pathlib import Path

from dagwire_launcher.command import command_line, container_command, environment
from dagwire_shared.records import CodePointer

LAUNCH = Path("/runs/1/launch.json")


def test_a_worker_uses_the_locations_own_python_and_pointer():
    pointer = CodePointer(python_file="repo.py", attribute="team", working_directory="/code", executable="/venv/python")
    assert command_line(pointer, LAUNCH) == [
        "/venv/python", "-P", "-m", "dagwire.worker", "--launch", "/runs/1/launch.json",
        "-f", "repo.py", "-a", "team", "-d", "/code",
    ]  # fmt: skip


def test_a_module_and_a_package_are_named_as_such():
    module = CodePointer(module_name="team.repo", working_directory="/code", executable="python")
    assert command_line(module, LAUNCH)[6:] == ["-m", "team.repo", "-d", "/code"]
    package = CodePointer(package_name="team", working_directory="/code", executable="python")
    assert command_line(package, LAUNCH)[6:] == ["--package-name", "team", "-d", "/code"]


def test_a_worker_in_a_container_is_given_no_launch_file():
    pointer = CodePointer(python_file="repo.py", working_directory="/app", executable="python")
    assert container_command(pointer) == ["python", "-P", "-m", "dagwire.worker", "-f", "repo.py", "-d", "/app"]


def test_a_worker_inherits_no_settings_of_the_services_but_its_own():
    found = environment(
        {
            "PATH": "/bin",
            "DAGWIRE_LAUNCHER_NATS_URL": "nats://full:secret@h",
            "DAGWIRE_EVENTSTORE_DATABASE_URL": "postgresql://secret",
            "DAGWIRE_WORKER_LOG_LEVEL": "DEBUG",
            "DAGWIRE_WORKER_STORAGE_DIRECTORY": "/data",
            "DAGWIRE_WORKER_NATS_URL": "nats://stale",
        },
        credential={"DAGWIRE_WORKER_NATS_URL": "nats://worker@h"},
        directory=Path("/runs/1"),
    )
    assert found == {
        "PATH": "/bin",
        "DAGWIRE_WORKER_LOG_LEVEL": "DEBUG",
        "DAGWIRE_WORKER_STORAGE_DIRECTORY": "/data",
        "DAGWIRE_WORKER_SPOOL_DIRECTORY": "/runs/1/spool",
        "DAGWIRE_WORKER_NATS_URL": "nats://worker@h",
    }
