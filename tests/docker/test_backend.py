"""The Docker backend with a real engine, and no bus: workers are shell scripts."""

import asyncio
import contextlib
import json
import signal
from datetime import timedelta

import pytest
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.docker.backend import DockerBackend, DockerSettings
from dagwire_launcher.docker.config import DockerConfig
from dagwire_launcher.docker.container import Blueprint, container_name
from dagwire_launcher.errors import BackendUnavailableError, LaunchRefusedError
from dagwire_shared.events import FailureCause
from support.docker import Gate, Place, address
from support.launching import until

SECRET = "secret " * 5
GO_ON = "echo begun\nexec sleep 600"
PATIENT = "trap 'echo told to end; exit 7' TERM\necho begun\nwhile :; do sleep 0.05; done"


@pytest.fixture
async def make(place: Place):
    """Makes open backends of one instance, each as after a restart of the launcher."""
    async with contextlib.AsyncExitStack() as stack:

        async def backend(*, network="none", keep_runs=10, at=None, instance=None, **config):
            config.setdefault("volumes", [f"{place.folder}:/test:ro"])
            blueprint = Blueprint(
                instance=instance or place.instance,
                network=network,
                config=DockerConfig(**config),
                log_bytes=100_000,
            )
            made = DockerBackend(
                DockerSettings(
                    blueprint=blueprint,
                    credentials=WorkerCredentials(SECRET, "nats://h"),
                    address=at or address(),
                    keep_runs=keep_runs,
                    keep_for=timedelta(days=1),
                )
            )
            await stack.enter_async_context(made.open())
            return made

        yield backend


async def has_begun(backend, run_id):
    async def begun():
        return "begun" in await backend.output_of(run_id)

    await until(begun, what="the worker began")


async def a_second_later(place):
    """Return when the engine's clock has moved on to another second."""

    async def second():
        return (await place.client.system.info())["SystemTime"][:19]

    before = await second()

    async def passed():
        return await second() != before

    await until(passed, what="a second passes")


async def test_a_worker_that_exists_is_not_created_again(make, place):
    backend = await make()
    first = await backend.create(place.order(GO_ON))
    assert await backend.create(place.order(GO_ON)) == first
    assert await (await make()).create(place.order(GO_ON)) == first
    assert await place.names() == {container_name(place.run_id())}


async def test_many_that_create_one_worker_at_once_get_the_same(make, place):
    order = place.order(GO_ON)
    backends = [await make() for _ in range(4)]

    async def create(backend):
        while True:
            with contextlib.suppress(BackendUnavailableError):  # the name is taken before the container is shown
                return await backend.create(order)

    workers = await asyncio.gather(*(create(backend) for backend in backends * 2))
    assert len({one.name for one in workers}) == 1
    assert len(await place.names()) == 1


async def test_an_ended_worker_is_not_created_again_either(make, place):
    backend = await make()
    first = await backend.create(place.order("echo out\necho last words >&2\nexit 3"))
    end = await backend.end_of(place.run_id())
    assert (end.code, end.signal, end.cause) == (3, None, None)
    # The engine reads two pipes: which line came first it does not know.
    assert sorted((await backend.output_of(place.run_id())).splitlines()) == ["last words", "out"]
    assert await backend.create(place.order("exit 0")) == first
    assert (await backend.end_of(place.run_id())).code == 3


async def test_the_end_by_a_signal_is_known_as_such(make, place):
    backend = await make()
    await backend.create(place.order("kill -SEGV $$"))
    end = await backend.end_of(place.run_id())
    assert (end.code, end.signal) == (None, signal.SIGSEGV)


async def test_a_container_that_was_made_and_not_started_is_started_by_the_next_launcher(make, place):
    backend = await make()
    run = backend._run_container(place.order("exit 3"))
    await backend._maker._create(container_name(run.run_id), run)
    await backend.create(place.order("exit 3"))
    assert (await backend.end_of(place.run_id())).code == 3


async def test_a_container_that_never_started_is_removed_when_it_is_told_to_end(make, place):
    backend = await make()
    run = backend._run_container(place.order(GO_ON))
    await backend._maker._create(container_name(run.run_id), run)
    ending = asyncio.create_task(backend.end_of(place.run_id()))
    await backend.stop(place.run_id(), force=True)
    assert (await ending).cause is FailureCause.WORKER_DELETED
    assert await place.names() == set()


async def test_after_a_restart_a_worker_is_found_and_its_end_is_seen(make, place):
    worker = await (await make()).create(place.order(PATIENT))
    backend = await make()
    assert await backend.workers() == [worker]
    await has_begun(backend, place.run_id())
    waiting = asyncio.create_task(backend.end_of(place.run_id()))
    await backend.stop(place.run_id(), force=False)
    assert (await waiting).code == 7
    assert "told to end" in await backend.output_of(place.run_id())


async def test_a_worker_that_does_not_listen_is_ended_with_all_that_it_started(make, place):
    backend = await make()
    await backend.create(place.order("trap '' TERM\nsleep 600 &\necho begun\nwait"))
    await has_begun(backend, place.run_id())
    await backend.stop(place.run_id(), force=False)
    await backend.stop(place.run_id(), force=True)
    assert (await backend.end_of(place.run_id())).signal == signal.SIGKILL
    await backend.stop(place.run_id(), force=True)  # nothing runs any more: nothing happens


async def test_a_worker_that_uses_more_memory_than_its_limit_ends_with_that_cause_and_the_limit(make, place):
    backend = await make(memory="32m")
    await backend.create(place.order("python3 -c 'b = bytearray(200_000_000)'"))
    end = await backend.end_of(place.run_id())
    assert end.cause is FailureCause.OUT_OF_MEMORY
    assert "32 MiB" in end.reason


async def test_a_container_removed_by_hand_is_told_as_that_at_once(make, place):
    backend = await make()
    await backend.create(place.order(GO_ON))
    waiting = asyncio.create_task(backend.end_of(place.run_id()))
    await has_begun(backend, place.run_id())
    await place.client.containers.container(container_name(place.run_id())).delete(force=True)
    assert (await waiting).cause is FailureCause.WORKER_DELETED
    assert (await backend.end_of(place.run_id())).cause is FailureCause.WORKER_DELETED


async def test_an_image_that_cannot_be_had_is_told_in_the_engines_words(make, place):
    backend = await make()
    with pytest.raises(
        LaunchRefusedError, match=r"no image 127\.0\.0\.1:1/nobody/nothing:1 and cannot pull it: "
    ) as told:
        await backend.create(place.order(GO_ON, image="127.0.0.1:1/nobody/nothing:1"))
    assert told.value.cause is FailureCause.IMAGE_UNAVAILABLE
    assert await place.names() == set()


async def test_a_location_that_names_no_image_is_told_where_to_name_it(make, place):
    with pytest.raises(LaunchRefusedError, match="DAGWIRE_CURRENT_IMAGE"):
        await (await make()).create(place.order(GO_ON, image=None))


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"network": "nothing-here"}, "nothing-here"), ({"volumes": ["/nowhere:/proc/mine"]}, "/proc/mine")],
)
async def test_a_container_that_cannot_be_made_or_started_is_told_and_leaves_nothing(make, place, settings, words):
    backend = await make(**settings)
    with pytest.raises(LaunchRefusedError, match=words) as told:
        await backend.create(place.order(GO_ON))
    assert told.value.cause is FailureCause.CONTAINER_CONFIG
    assert await place.names() == set()


async def test_an_image_without_the_locations_python_is_told_as_a_wrong_container(make, place):
    backend = await make()
    await backend.create(place.order(GO_ON, executable="/nothing/python"))
    end = await backend.end_of(place.run_id())
    assert end.cause is FailureCause.CONTAINER_CONFIG
    assert "/nothing/python" in await backend.output_of(place.run_id())


async def test_a_container_of_somebody_else_under_the_runs_name_is_left_alone(make, place):
    theirs = await make(instance=f"{place.instance}-other")
    await theirs.create(place.order(GO_ON))
    try:
        ours = await make()
        with pytest.raises(LaunchRefusedError, match=f"{place.instance}-other"):
            await ours.create(place.order(GO_ON))
        assert await ours.workers() == []
        assert len(await theirs.workers()) == 1
    finally:
        await place.client.containers.container(container_name(place.run_id())).delete(force=True)


async def test_a_worker_has_no_rights_no_secrets_of_the_launcher_and_no_way_to_the_engine(make, place, monkeypatch):
    monkeypatch.setenv("DAGWIRE_EVENTSTORE_DATABASE_URL", "postgresql://password")
    backend = await make(environment={"TEAM": "weather"})
    await backend.create(
        place.order("id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; ls /var/run /run; env; exit 1")
    )
    await backend.end_of(place.run_id())
    said = (await backend.output_of(place.run_id())).split("\n")
    assert said[0] == "1000"
    assert {"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "TEAM=weather"} <= set(said)
    assert not any("docker.sock" in line or "postgresql" in line or SECRET in line for line in said)
    assert any(line.startswith(f"DAGWIRE_WORKER_NATS_URL=nats://{place.run_id()}:") for line in said)


async def test_a_worker_can_be_kept_from_writing_anywhere_but_to_memory(make, place):
    backend = await make(read_only=True)
    await backend.create(place.order("touch /tmp/here || exit 2; touch /test/there 2>/dev/null && exit 3; exit 4"))
    assert (await backend.end_of(place.run_id())).code == 4


async def test_while_the_engine_is_away_nothing_is_lost_and_what_happened_is_seen_when_it_is_back(make, place):
    gate = Gate()
    await gate.open()
    backend = await make(at=gate.address)
    await backend.create(place.order(PATIENT))
    waiting = asyncio.create_task(backend.end_of(place.run_id()))
    await has_begun(backend, place.run_id())
    gate.shut()

    async def missed():
        return backend.trouble is not None

    await until(missed, what="the engine is missed")
    with pytest.raises(BackendUnavailableError):
        await backend.create(place.order("exit 0", key="other"))
    with pytest.raises(BackendUnavailableError):
        await backend.workers()
    await place.client.containers.container(container_name(place.run_id())).kill(signal="SIGTERM")
    await place.client.containers.container(container_name(place.run_id())).wait()
    await a_second_later(place)  # so that the engine tells no more of it to who asks what happened since now
    assert not waiting.done()
    await gate.open()
    assert (await waiting).code == 7
    await backend.create(place.order("exit 5", key="other"))
    assert (await backend.end_of(place.run_id("other"))).code == 5
    gate.shut()


async def test_containers_of_settled_runs_are_kept_for_inspection_but_no_more_than_so_many(make, place):
    backend = await make(keep_runs=2)
    for key in ("1", "2", "3", "4", "unsettled"):
        await backend.create(place.order("exit 0", key=key))
        await backend.end_of(place.run_id(key))
        await asyncio.sleep(1.0 if key != "unsettled" else 0)  # the engine's list knows whole seconds
    for key in ("1", "2", "3", "4"):
        await backend.release(place.run_id(key))
    assert await place.names() == {container_name(place.run_id(key)) for key in ("3", "4", "unsettled")}
    assert [one.run_id for one in await backend.workers()] == [place.run_id("unsettled")]


async def test_a_worker_is_gone_when_its_container_does_not_run_and_unknown_on_another_engine(make, place):
    backend = await make()
    worker = await backend.create(place.order(GO_ON))
    assert not await backend.is_gone(worker.run_id, worker.name)
    await backend.stop(worker.run_id, force=True)
    await backend.end_of(worker.run_id)
    assert await backend.is_gone(worker.run_id, worker.name)
    assert await backend.is_gone(place.run_id("never"), worker.name)
    assert not await backend.is_gone(worker.run_id, f"another-engine:{container_name(worker.run_id)}")


async def test_what_the_engine_keeps_of_a_container_is_bounded_and_labelled(make, place):
    backend = await make(memory="64m", cpus=0.5, pids=50)
    await backend.create(place.order("exit 0"))
    shown = await place.client.containers.container(container_name(place.run_id())).show()
    host = shown["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (2**26, 2**26, 500_000_000, 50)
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "100000", "max-file": "2"}}
    assert (
        shown["Config"]["Labels"].items()
        >= {
            "dagwire/run-id": place.run_id(),
            "dagwire/job": "job",
            "dagwire/code-location": "here",
            "dagwire/instance": place.instance,
        }.items()
    )
    assert "SECRET" not in json.dumps(shown)
