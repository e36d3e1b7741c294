"""The images of ``make images``: what is in them, what is not, and that they need no right."""

import json
import re
import subprocess

import pytest
from support.compose import engine, inspect, tag

NAMES = ("dagwire", "user-code", "example-weather")
BARE = ("run", "--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
SBOM = "/usr/share/sbom/dagwire"


@pytest.fixture(scope="module", autouse=True)
def images():
    for name in NAMES:
        if not engine("images", "--quiet", f"dagwire/{name}:{tag()}"):
            pytest.fail(f"there is no image dagwire/{name}:{tag()}: run `make images`", pytrace=False)


def run(name: str, *command: str) -> str:
    """What a command prints in a container without network and rights."""
    return engine(*BARE, "--network", "none", f"dagwire/{name}:{tag()}", *command)


def has(name: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    command = ["docker", *BARE, f"dagwire/{name}:{tag()}", "python", "-c", code]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_image_says_what_it_is_and_runs_as_nobody_in_particular(name):
    (shown,) = inspect(f"dagwire/{name}:{tag()}")
    labels = shown["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == tag()
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert {"title", "description", "source", "revision"} <= {key.rpartition(".")[2] for key in labels}
    assert shown["Config"]["User"] == "1000:1000"
    assert shown["Config"]["Healthcheck"]["Test"][0] == "CMD"
    assert not shown["Config"]["Entrypoint"]
    assert run(name, "id", "-u").strip() == "1000"


@pytest.mark.parametrize("name", NAMES)
def test_an_image_lists_what_it_is_made_of(name):
    files = run(name, "sh", "-c", f"ls {SBOM}").split()
    wanted = {
        "dagwire": ["page.cdx.json", "services.cdx.json"],
        "user-code": ["user-code.cdx.json"],
        "example-weather": ["example-weather.cdx.json", "user-code.cdx.json"],
    }
    assert files == wanted[name]
    for file in files:
        bill = json.loads(run(name, "cat", f"{SBOM}/{file}"))
        assert bill["bomFormat"] == "CycloneDX"
        assert bill["components"]


def test_what_is_listed_is_what_is_installed():
    listing = json.loads(run("user-code", "cat", f"{SBOM}/user-code.cdx.json"))["components"]
    listed = {(one["name"], one["version"]) for one in listing}
    found = json.loads(run("user-code", "pip", "list", "--format", "json", "--disable-pip-version-check"))
    installed = {(re.sub(r"[-_.]+", "-", one["name"]).lower(), one["version"]) for one in found}
    assert {name for name, _ in installed - listed} <= {"dagwire", "pip"}


@pytest.mark.parametrize("module", ["dagwire.worker", "grpc_health.v1", "dagwire.codeserver.server"])
def test_the_user_code_image_has_what_serves_and_runs_code(module):
    assert has("user-code", module.partition(".")[0])
    run("user-code", "python", "-c", f"import importlib; importlib.import_module({module!r})")


@pytest.mark.parametrize(
    "module", ["dagwire_dagit", "dagwire_launcher", "kubernetes", "aiodocker", "alembic", "asyncpg", "sqlalchemy"]
)
def test_the_user_code_image_has_nothing_of_the_services(module):
    assert not has("user-code", module)
    assert has("dagwire", module)


def test_every_service_starts_on_a_read_only_file_system_and_says_what_is_wrong_with_its_settings():
    for service in ("dagit", "eventstore"):
        command = ["docker", *BARE, f"dagwire/dagwire:{tag()}", "python", "-m", f"dagwire_{service}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 2
        assert f"DAGWIRE_{service.upper()}_NATS_URL: is not set" in done.stderr


@pytest.mark.parametrize("name", ["dagwire", "user-code"])
def test_everything_is_compiled_as_a_read_only_container_keeps_no_bytecode(name):
    module = {"dagwire": "dagwire_dagit.app", "user-code": "dagwire.worker.run"}[name]
    code = (
        f"import {module}, sys, os\n"
        "for module in list(sys.modules.values()):\n"
        "    cached = getattr(module, '__cached__', None)\n"
        "    if cached and not os.path.exists(cached): print(cached)"
    )
    assert run(name, "python", "-c", code) == ""


def test_the_page_is_in_the_services_image():
    run("dagwire", "python", "-c", "from dagwire_dagit.site import STATIC; (STATIC / 'index.html').read_text()")
