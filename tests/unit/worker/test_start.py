"""A run worker takes its run before it imports what runs it; so what is imported first stays little."""

import json
import subprocess
import sys
import types

import dagwire
import dagwire.job

HEAVY = {"pydantic", "pydantic_core", "grpc", "httpx", "click", "polars", "dagwire_shared.events", "dagwire.execute"}
HEAVY |= {"aiohttp"}
"""nats-py loads it where it is installed, for WebSocket addresses."""


def modules_after(statement):
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    return set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))


def test_a_worker_imports_no_models_before_it_takes_its_run():
    assert not HEAVY & modules_after("import dagwire.worker.__main__")


def test_a_worker_never_imports_servers_and_clients_of_other_protocols():
    assert not {"grpc", "httpx", "click", "fastapi", "asyncpg"} & modules_after("import dagwire.worker.run")


def test_no_service_loads_what_only_websockets_need():
    for service in ("dagit", "eventstore", "launcher", "scheduler"):
        assert "aiohttp" not in modules_after(f"import dagwire_{service}.__main__"), service


def test_a_websocket_address_loads_it_after_all():
    assert "aiohttp" in modules_after(
        "from dagwire_shared.jetstream.link import Link\n"
        "Link('wss://h', name='n', inbox_prefix='_INBOX', holder=None)\n"
        "from nats.aio.transport import aiohttp\nassert aiohttp.ClientSession"
    )


def test_each_public_name_is_found_and_none_is_a_module():
    for name in dagwire.__all__:
        assert not isinstance(getattr(dagwire, name), types.ModuleType), name


def test_a_submodule_does_not_take_the_place_of_the_function_of_its_name():
    assert callable(dagwire.job)
    assert "job" in dir(dagwire)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(dagwire, "solid")
