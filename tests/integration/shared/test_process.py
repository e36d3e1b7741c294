"""How a service runs as a process: a child of its own for each test."""

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import httpx
import pytest
from support.nats import free_port

SERVICE = """
import asyncio, sys
from pydantic_settings import SettingsConfigDict
from dagwire_shared.errors import BusUnavailableError
from dagwire_shared.process import run_service
from dagwire_shared.settings import ServiceSettings

class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DAGWIRE_DEMO_")
    how: str
    '''What the service does.'''

async def wait():
    try:
        print("ready", flush=True)
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)

async def main(settings, health):
    health.add("demo", lambda: "ok")
    match settings.how:
        case "end": return
        case "wait": await wait()
        case "hang":
            try:
                await wait()
            finally:
                await asyncio.sleep(60)
        case "bug": raise ValueError("bad row")
        case "bus": raise BusUnavailableError("no server at nats://u:secret@h")
        case "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(wait())
                group.create_task(fail())

async def fail():
    await asyncio.sleep(0)
    raise BusUnavailableError("gone")

run_service("demo", Settings, main)
"""


async def start(tmp_path: Path, how: str | None, *, health_port: int = 0) -> Process:
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    environment = {} if how is None else {"DAGWIRE_DEMO_HOW": how, "DAGWIRE_DEMO_HEALTH_PORT": str(health_port)}
    return await asyncio.create_subprocess_exec(sys.executable, script, env=environment, stdout=PIPE, stderr=PIPE)


async def end(process: Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_service_that_ends_exits_with_0(tmp_path: Path):
    code, _, err = await end(await start(tmp_path, "end"))

    assert code == 0
    assert "service starts" in err
    assert "service stopped" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_service_cleanly(tmp_path: Path, number: signal.Signals):
    process = await start(tmp_path, "wait")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(number)

    code, out, err = await end(process)

    assert (code, out) == (0, "cleaned up\n")
    assert f"service stops  service=demo signal={number.name}" in err
    assert "Traceback" not in err


async def test_a_second_signal_ends_a_service_at_once(tmp_path: Path):
    process = await start(tmp_path, "hang")
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert await process.stdout.readline() == b"cleaned up\n"
    process.send_signal(signal.SIGTERM)

    assert (await end(process))[0] == 1


async def test_wrong_settings_exit_with_2_and_one_message(tmp_path: Path):
    code, out, err = await end(await start(tmp_path, None))

    assert (code, out) == (2, "")
    assert err == "demo: wrong settings:\n  DAGWIRE_DEMO_HOW: is not set — What the service does.\n"


async def test_an_expected_failure_is_one_line_without_secrets(tmp_path: Path):
    code, _, err = await end(await start(tmp_path, "bus"))

    assert code == 1
    assert "ERROR   dagwire_shared.process  service failed: no server at nats://***@h" in err
    assert "Traceback" not in err


async def test_an_expected_failure_in_a_task_group_is_one_line_too(tmp_path: Path):
    code, out, err = await end(await start(tmp_path, "group"))

    assert (code, out) == (1, "ready\ncleaned up\n")
    assert "service failed: gone" in err
    assert "Traceback" not in err


async def test_a_bug_shows_its_trace(tmp_path: Path):
    code, _, err = await end(await start(tmp_path, "bug"))

    assert code == 1
    assert "ValueError: bad row" in err
    assert "Traceback" in err


async def test_a_service_answers_probes_until_it_ends(tmp_path: Path):
    port = free_port()
    process = await start(tmp_path, "hang", health_port=port)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).json() == {"status": "ok", "checks": {"demo": "ok"}}
        process.send_signal(signal.SIGTERM)
        assert await process.stdout.readline() == b"cleaned up\n"
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200
    process.kill()
    await end(process)


async def test_a_health_port_in_use_is_one_line(tmp_path: Path):
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        code, _, err = await end(await start(tmp_path, "wait", health_port=port))

    assert code == 1
    assert f"service failed: cannot listen on port {port}" in err
    assert "DAGWIRE_DEMO_HEALTH_PORT" in err
    assert "Traceback" not in err
