"""The server as a process: health, reflection, broken code, reloading, ports and endings."""

import asyncio
import json
import signal
import socket
import sys

import grpc
import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_protos.codeserver.v1.code_server_pb2_grpc import CodeServerStub
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from .conftest import GOOD, launch, write

SERVICE = "dagwire.codeserver.v1.CodeServer"
SERVING = health_pb2.HealthCheckResponse.SERVING


async def health(server, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(server.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def next_state(states) -> pb.DefinitionsState:
    return await asyncio.wait_for(states.read(), 20)


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_a_server_is_healthy(start, repo, service):
    assert await health(await start("-f", str(repo)), service) == SERVING


async def test_reflection_names_the_service_and_its_calls(start, repo):
    server = await start("-f", str(repo))

    def reflected():
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            file = database.FindFileContainingSymbol(SERVICE)
            return database.get_services(), [method.name for method in file.service[0].method]

    services, methods = await asyncio.to_thread(reflected)

    assert SERVICE in services
    assert {"GetServerInfo", "Watch", "EvaluateSchedule"} <= set(methods)


async def test_a_broken_repository_answers_with_its_error_and_stays_healthy(start, tmp_path):
    file = write(tmp_path / "code/repo.py", "import surely_not_installed")
    server = await start("-f", str(file))

    listed = await server.calls.ListRepositories(pb.ListRepositoriesRequest())
    evaluated = await server.calls.EvaluateSchedule(pb.EvaluateScheduleRequest(repository="x", schedule="y"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.calls.GetRepository(pb.GetRepositoryRequest(repository="x"))

    assert not listed.repositories
    assert listed.definitions.load_error.cause.type == "ModuleNotFoundError"
    assert f'File "{file}", line 1' in listed.definitions.load_error.cause.stack[0]
    assert evaluated.error == listed.definitions.load_error
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "No module named 'surely_not_installed'" in (caught.value.details() or "")
    assert await health(server, SERVICE) == SERVING


async def test_a_missing_file_is_a_load_error_too(start, tmp_path):
    server = await start("-f", str(tmp_path / "absent.py"))
    info = await server.calls.GetServerInfo(pb.GetServerInfoRequest())

    assert "does not exist" in info.definitions.load_error.message


async def test_an_edit_reaches_every_watcher_and_so_do_its_breaking_and_repair(start, repo):
    server = await start("-f", str(repo), "--watch")
    watchers = [server.calls.Watch(pb.WatchRequest()) for _ in range(3)]
    first = [await next_state(states) for states in watchers]

    write(repo, GOOD.replace('Preset("berlin"', 'Preset("paris"').replace('preset="berlin"', 'preset="paris"'))
    changed = [await next_state(states) for states in watchers]
    write(repo, "def broken(:\n")
    broken = [await next_state(states) for states in watchers]
    write(repo, GOOD)
    repaired = [await next_state(states) for states in watchers]

    assert len({state.definitions_hash for state in first}) == 1
    assert {state.definitions_hash for state in changed}.isdisjoint(state.definitions_hash for state in first)
    assert {state.load_error.cause.type for state in broken} == {"SyntaxError"}
    assert [state.definitions_hash for state in repaired] == [state.definitions_hash for state in first]
    assert not any(state.HasField("load_error") for state in repaired)


async def test_an_edit_of_an_imported_module_reloads_too(start, tmp_path):
    write(tmp_path / "code/names.py", "NAME = 'one'")
    text = GOOD.replace("@job(", "@job(name=NAME, ").replace(
        "import threading", "import threading\n    from names import NAME"
    )
    server = await start("-f", str(write(tmp_path / "code/repo.py", text)), "--watch")
    states = server.calls.Watch(pb.WatchRequest())
    await next_state(states)

    write(tmp_path / "code/names.py", "NAME = 'another'")
    await next_state(states)

    assert (await server.calls.GetJob(pb.GetJobRequest(repository="team", job="another"))).name == "another"


async def test_without_watch_an_edit_changes_nothing(start, repo):
    server = await start("-f", str(repo))
    before = await server.calls.GetServerInfo(pb.GetServerInfoRequest())
    write(repo, "broken(")
    await asyncio.sleep(0.5)  # longer than a watching server takes

    assert await server.calls.GetServerInfo(pb.GetServerInfoRequest()) == before


async def test_a_module_is_served_from_the_working_directory(start, tmp_path):
    write(tmp_path / "work/pack/__init__.py", "")
    write(tmp_path / "work/pack/jobs.py", GOOD)
    server = await start("-m", "pack.jobs", "-d", str(tmp_path / "work"), "-a", "weather")
    listed = await server.calls.ListRepositories(pb.ListRepositoriesRequest())

    assert [one.name for one in listed.repositories] == ["__repository__"]


async def test_settings_come_from_the_environment_and_options_beat_them(start, repo, tmp_path):
    env = {"DAGWIRE_MODULE_NAME": "absent", "DAGWIRE_ATTRIBUTE": "team", "DAGWIRE_CURRENT_IMAGE": "one:1"}
    server = await start("-f", str(repo), "--container-image", "two:2", env=env)
    info = await server.calls.GetServerInfo(pb.GetServerInfoRequest())

    assert info.code_pointer.python_file == str(repo)
    assert info.code_pointer.attribute == "team"
    assert info.image == "two:2"


async def test_a_killed_server_comes_back_on_its_port_and_serves_the_same(start, repo):
    first = await start("-f", str(repo))
    before = await first.calls.ListRepositories(pb.ListRepositoriesRequest())
    await first.stop(signal.SIGKILL)

    second = await start("-f", str(repo), port=first.port)
    after = await CodeServerStub(first.channel).ListRepositories(pb.ListRepositoriesRequest(), wait_for_ready=True)

    assert second.port == first.port
    assert after.definitions.definitions_hash == before.definitions.definitions_hash


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_with_watchers_and_hanging_code(start, repo, number):
    server = await start("-f", str(repo), "--watch")
    states = server.calls.Watch(pb.WatchRequest())
    await next_state(states)
    hanging = pb.EvaluateScheduleRequest(repository="team", schedule="daily")
    hanging.scheduled_time.FromJsonString("2026-06-03T06:00:00Z")
    await server.calls.EvaluateSchedule(hanging, timeout=0.5)

    code = await asyncio.wait_for(server.stop(number), 10)

    assert code == 0
    assert await states.read() is grpc.aio.EOF


async def test_a_signal_ends_it_while_its_code_hangs_in_an_import(tmp_path):
    file = write(
        tmp_path / "code/repo.py", "import threading\nprint('importing', flush=True)\nthreading.Event().wait()\n"
    )
    process = await launch("api", "grpc", "-f", str(file), "-p", "0", log=tmp_path / "log")
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"importing\n"
    process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_port_in_use_is_one_clear_sentence(repo, tmp_path):
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await launch("api", "grpc", "-f", str(repo), "-p", str(port), log=log)
        code = await asyncio.wait_for(process.wait(), 30)

    assert code == 7
    assert log.read_text() == (
        f"Error: port {port} of 127.0.0.1 is in use: choose another with -p, or -p 0 for any free one\n"
    )


async def test_two_servers_never_share_a_port(start, repo, tmp_path):
    server = await start("-f", str(repo))
    process = await launch("api", "grpc", "-f", str(repo), "-p", str(server.port), log=tmp_path / "second.log")

    assert await asyncio.wait_for(process.wait(), 30) == 7


async def test_the_ready_line_is_in_the_ready_file_while_the_server_lives(start, repo, tmp_path):
    file = tmp_path / "ready.json"
    server = await start("-f", str(repo), "--ready-file", str(file), "--location-name", "weather")
    ready = json.loads(file.read_text())
    await server.stop()

    assert ready == {
        "event": "code_server_ready",
        "host": "127.0.0.1",
        "port": server.port,
        "pid": server.process.pid,
        "location": "weather",
    }
    assert not file.exists()


async def test_the_health_check_command_tells_by_its_exit_code(start, repo, tmp_path):
    server = await start("-f", str(repo))
    log = tmp_path / "check.log"

    async def check(*arguments: str) -> int:
        process = await launch("api", "grpc-health-check", *arguments, log=log)
        return await asyncio.wait_for(process.wait(), 30)

    assert await check("-p", str(server.port)) == 0
    assert await check("-p", str(server.port), "--service", SERVICE) == 0
    assert await check("-p", str(server.port), "--service", "absent.Service") == 6
    await server.stop()
    assert await check("-p", str(server.port), "--timeout", "2") == 5
    assert "no gRPC server answers at 127.0.0.1" in log.read_text()


async def test_loading_the_code_needs_no_grpc():
    script = (
        "import dagwire.code, sys; print([n for n in ('grpc', 'click', 'httpx', 'dagwire_protos') if n in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()

    assert output.decode().strip() == "[]"
