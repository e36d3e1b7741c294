"""The Docker backend's decisions: what is created, what the operator may lay down, and what an end means."""

import asyncio
import signal
from datetime import UTC, datetime

import pytest
from dagwire_launcher.docker.config import DockerConfig, memory_bytes, read_docker_config
from dagwire_launcher.docker.container import Blueprint, RunContainer, container_name, creation
from dagwire_launcher.docker.states import Container, Listed
from dagwire_launcher.docker.wakes import Wakes
from dagwire_shared.errors import InvalidIdentifierError, SettingsError
from dagwire_shared.events import FailureCause
from dagwire_shared.ids import RunId, run_id_for
from dagwire_shared.records import CodePointer

RUN = run_id_for("k")


def created(*, message=b"{}", **config):
    run = RunContainer(
        run_id=RUN,
        job="sums",
        location="team",
        image="registry/team/code:1",
        pointer=CodePointer(python_file="/app/repo.py", working_directory="/app", executable="/usr/local/bin/python3"),
        message=message,
        credential={"DAGWIRE_WORKER_NATS_URL": "nats://run:token@nats:4222"},
    )
    blueprint = Blueprint(instance="here", network="bus", config=DockerConfig(**config), log_bytes=1000)
    return creation(run, blueprint)


def test_a_run_is_started_from_its_locations_image_with_its_locations_python():
    found = created()
    assert found["Image"] == "registry/team/code:1"
    assert found["Entrypoint"] + found["Cmd"] == [
        "/usr/local/bin/python3", "-P", "-m", "dagwire.worker", "-f", "/app/repo.py", "-d", "/app",
    ]  # fmt: skip
    assert found["WorkingDir"] == "/app"
    assert found["HostConfig"]["NetworkMode"] == "bus"


def test_a_container_has_no_rights_and_is_not_started_again():
    found = created()
    host = found["HostConfig"]
    assert found["User"] == "1000:1000"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["RestartPolicy"] == {"Name": "no"}
    assert host["Init"] is True
    assert not host.get("Privileged")
    assert host["Binds"] == []


def test_the_image_s_own_health_check_is_not_asked_of_a_run():
    assert created()["Healthcheck"] == {"Test": ["NONE"]}


def test_the_operators_variables_cannot_replace_a_runs_credential_and_may_move_its_folders():
    environment = dict(
        line.split("=", 1)
        for line in created(
            environment={
                "DAGWIRE_WORKER_NATS_URL": "nats://else",
                "DAGWIRE_WORKER_STORAGE_DIRECTORY": "/data",
                "A": "b=c",
            }
        )["Env"]
    )
    assert environment["DAGWIRE_WORKER_NATS_URL"] == "nats://run:token@nats:4222"
    assert environment["DAGWIRE_WORKER_STORAGE_DIRECTORY"] == "/data"
    assert environment["DAGWIRE_WORKER_SPOOL_DIRECTORY"].startswith("/tmp/")
    assert environment["A"] == "b=c"
    assert "DAGWIRE_WORKER_LAUNCH" in environment


def test_limits_are_said_in_the_engines_units_and_swap_is_none():
    host = created(memory="1g", cpus=1.5, pids=100)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (
        2**30,
        2**30,
        1_500_000_000,
        100,
    )
    assert not {"Memory", "MemorySwap", "NanoCpus", "PidsLimit"} & created()["HostConfig"].keys()


def test_a_name_is_made_of_nothing_but_a_run_id():
    assert container_name(RUN) == f"dagwire-run-{RUN}"
    with pytest.raises(InvalidIdentifierError):
        container_name(RunId("../x"))


@pytest.mark.parametrize(("text", "amount"), [("512m", 2**29), ("2g", 2**31), ("2 GB", 2**31), ("67108864", 2**26)])
def test_memory_is_written_as_in_compose(text, amount):
    assert memory_bytes(text) == amount


@pytest.mark.parametrize("text", ["much", "1.5g", "-1g", "1m", "", "12e3"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(ValueError, match=r"memory|least"):
        memory_bytes(text)


def test_without_a_file_and_without_a_section_the_defaults_hold(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("kubernetes: {default: {}}\n")
    assert read_docker_config(None) == read_docker_config(file) == DockerConfig()
    file.write_text("")
    assert read_docker_config(file) == DockerConfig()


def test_the_section_docker_is_read(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(
        "docker:\n  memory: 512m\n  volumes: ['data:/data:ro', /srv/in:/in]\n  environment: {TEAM: weather}\n"
    )
    config = read_docker_config(file)
    assert (config.memory, config.volumes) == ("512m", ["data:/data:ro", "/srv/in:/in"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("docker: {privileged: true}", "docker.privileged"),
        ("docker: {memory: lots}", r"docker\.memory: .*512m"),
        ("docker: {cpus: 0}", "docker.cpus"),
        ("docker: {volumes: ['../here:/there']}", r"docker\.volumes\.0: .*name:/path"),
        ("docker: {volumes: [/only]}", "docker.volumes.0"),
        ("docker: [", "cannot be read"),
        ("dokcer: {}", "no section dokcer: .*docker, kubernetes"),
        ("- docker", "mapping"),
        ("docker: [1]", "docker"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_what_to_write(tmp_path, text, words):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=words) as told:
        read_docker_config(file)
    assert str(file) in str(told.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_docker_config(tmp_path / "none.yaml")


def shown(*, labels=None, memory=0, **state):
    return Container.read(
        {
            "Id": "abc",
            "Created": "2026-11-25T18:50:42.989123456Z",
            "Config": {"Labels": labels},
            "HostConfig": {"Memory": memory},
            "State": {"Status": "exited", "ExitCode": 0, "OOMKilled": False, "Error": "", **state},
        }
    )


def test_the_engines_times_are_read_whatever_their_precision():
    assert shown().created == datetime(2026, 11, 25, 18, 50, 42, 989123, tzinfo=UTC)


def test_an_exit_code_above_128_is_a_signal():
    end = shown(ExitCode=137).end()
    assert (end.code, end.signal, end.cause) == (None, signal.SIGKILL, None)
    assert shown(ExitCode=3).end().code == 3
    assert shown(ExitCode=255).end().code == 255


def test_the_end_for_want_of_memory_names_the_limit():
    end = shown(ExitCode=137, OOMKilled=True, memory=512 * 2**20).end()
    assert end.cause is FailureCause.OUT_OF_MEMORY
    assert "limit of 512 MiB" in end.reason


def test_a_worker_that_ended_well_though_a_child_of_it_wanted_too_much_memory_ended_well():
    assert shown(ExitCode=0, OOMKilled=True).end().cause is None


def test_a_container_that_is_being_removed_was_removed():
    assert shown(Status="removing", ExitCode=137).end().cause is FailureCause.WORKER_DELETED


@pytest.mark.parametrize(
    ("labels", "ours"),
    [
        ({"dagwire/run-id": RUN, "dagwire/instance": "here"}, True),
        ({"dagwire/run-id": RUN, "dagwire/instance": "there"}, False),
        ({"dagwire/run-id": run_id_for("other"), "dagwire/instance": "here"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_container_is_ours_by_its_labels_not_by_its_name(labels, ours):
    assert shown(labels=labels).is_worker_of(RUN, "here") is ours


def test_a_container_whose_labels_name_no_run_is_nobodys():
    listed = {"Id": "a", "Created": 1, "State": "running", "Labels": {"dagwire/run-id": "../../etc"}}
    assert Listed.read(listed).run_id is None
    assert Listed.read({**listed, "Labels": {"dagwire/run-id": RUN}}).run_id == RUN


async def test_who_waits_for_a_run_is_woken_for_it_and_for_no_other():
    wakes = Wakes()
    with wakes.of(RUN) as bell, wakes.of(run_id_for("other")) as other:
        wakes.ring(RUN)
        await asyncio.wait_for(bell.wait(), 1)
        assert not other.is_set()
        wakes.ring_all()
        assert other.is_set()
    wakes.ring(RUN)  # nobody waits
