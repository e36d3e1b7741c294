"""What a process says of its health, and how probes are answered: over real sockets."""

import asyncio
import json
import socket

import pytest
from dagwire_shared.health import OK, Health, PortInUseError, probes

SETTING = "DAGWIRE_DEMO_HEALTH_PORT"


async def ask(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, and return status, headers and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split(" ")[1]), dict(line.split(": ", 1) for line in lines), body


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 10.0.0.1:8081\r\n\r\n".encode()


async def test_a_process_is_ready_when_every_check_is_well():
    health = Health()
    assert not (await health.report()).ready  # it has not begun
    state = {"bus": OK, "streams": "not made yet"}
    health.add("bus", lambda: state["bus"])
    health.add("streams", lambda: state["streams"])
    report = await health.report()
    assert (report.ready, report.checks) == (False, state)
    state["streams"] = OK
    assert (await health.report()).ready


async def test_what_only_informs_does_not_decide():
    health = Health()
    health.add("bus", lambda: OK)
    health.add("database", lambda: "waits for migration", informs=True)
    report = await health.report()
    assert (report.ready, report.checks["database"]) == (True, "waits for migration")


async def test_of_a_group_one_suffices():
    state = {"bus": "not connected", "database": OK}
    health = Health()
    health.add("bus", lambda: state["bus"], group="either")
    health.add("database", lambda: state["database"], group="either")
    assert (await health.report()).ready
    state["database"] = "not readable"
    assert not (await health.report()).ready


async def test_a_check_that_hangs_is_a_failed_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dagwire_shared.health.CHECK_SECONDS", 0.01)

    async def hang() -> str:
        await asyncio.sleep(60)
        return OK

    health = Health()
    health.add("database", hang)
    report = await health.report()
    assert (report.ready, report.checks["database"]) == (False, "no answer within 0.01 s")


async def test_a_process_that_stops_is_not_ready():
    health = Health()
    health.add("bus", lambda: OK)
    health.stop()
    assert not (await health.report()).ready


async def test_probes_are_answered_as_json():
    health = Health()
    async with probes(health, 0, setting=SETTING) as port:
        assert (await ask(port, get("/healthz")))[0] == 200
        status, headers, body = await ask(port, get("/readyz"))
        assert (status, headers["Content-Type"]) == (503, "application/json")
        health.add("bus", lambda: OK)
        status, headers, body = await ask(port, get("/readyz"))
        assert (status, json.loads(body)) == (200, {"status": "ok", "checks": {"bus": "ok"}})
        assert int(headers["Content-Length"]) == len(body)
        status, headers, body = await ask(port, get("/readyz", "HEAD"))
        assert (status, body) == (200, b"")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/"), 404),
        (get("/healthz/"), 404),
        (get("/readyz?x=1"), 404),
        (get("/../healthz"), 404),
        (get("/healthz", "POST"), 405),
        (get("/healthz", "get"), 405),
        (b"GET /healthz\r\n\r\n", 400),
        (b"GET  /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/2\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
)
async def test_anything_else_is_refused(request_bytes: bytes, status: int):
    async with probes(Health(), 0, setting=SETTING) as port:
        assert (await ask(port, request_bytes))[0] == status
        assert (await ask(port, get("/healthz")))[0] == 200


async def test_a_client_that_says_nothing_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dagwire_shared.health._REQUEST_SECONDS", 0.05)
    async with probes(Health(), 0, setting=SETTING) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await ask(port, get("/healthz")))[0] == 200
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_port_in_use_is_said_with_the_setting_that_chooses_it():
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"cannot listen on port {port}: address already in use.*{SETTING}"):
            async with probes(Health(), port, setting=SETTING):
                pass


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


async def test_probes_are_answered_on_every_family_that_the_machine_has():
    async with probes(Health(), 0, setting=SETTING) as port:
        for host in ["127.0.0.1", *(["::1"] if has_ipv6() else [])]:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(get("/healthz"))
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()
