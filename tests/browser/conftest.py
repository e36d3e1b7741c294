"""A real Chromium in front of a real `dagwire up`. Only with ``--browser``: nothing else needs a browser."""

import shutil
import tempfile
from pathlib import Path

import pytest
import support.chromium
from playwright.sync_api import Browser, Page
from support.chromium import SECONDS
from support.standalone import Standalone

HERE = Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption("--browser", action="store_true", help="run the browser tests; needs the command chromium")


def pytest_ignore_collect(collection_path, config):
    return True if not config.getoption("--browser", default=False) and collection_path.suffix == ".py" else None


class World:
    """Where the jobs lie, and what serves them."""

    def __init__(self, directory: Path) -> None:
        self.code = directory / "code"
        self.code.mkdir()
        shutil.copy(HERE / "repo.py", self.code / "cities.py")
        self.broken = self.code / "broken.py"
        self.broken.write_text("import a_module_that_is_not_there\n")
        self.gate = self.code / "open"
        sources = ["-f", str(self.code / "cities.py"), "-f", str(self.broken)]
        self.standalone = Standalone(directory / "data", *sources, "-d", str(self.code))
        self.url = self.standalone.url

    def get(self, path: str, **params):
        with self.standalone.client() as client:
            answer = client.get(f"/api/v1{path}", params=params)
            answer.raise_for_status()
            return answer.json()

    def launch(self, job: str, config: dict | None = None) -> str:
        body = {"location": "cities", "repository": "browser", "job": job, "run_config": config or {}}
        with self.standalone.client() as client:
            answer = client.post("/api/v1/runs", json=body)
            answer.raise_for_status()
            return answer.json()["run_id"]


@pytest.fixture(scope="session")
def world():
    with tempfile.TemporaryDirectory(prefix="dagwire-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        world = World(Path(directory))
        world.standalone.start()
        yield world
        world.standalone.stop()


@pytest.fixture(scope="session")
def chromium():
    with support.chromium.chromium() as browser:
        yield browser


@pytest.fixture
def complaints() -> list[str]:
    """What the page's console complained about; a test that expects some clears it."""
    return []


@pytest.fixture
def page(chromium: Browser, world: World, complaints: list[str]):
    context = chromium.new_context(base_url=world.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    listen(page, complaints)
    yield page
    context.close()
    assert complaints == []


def listen(page: Page, complaints: list[str]) -> None:
    """Note errors: scripts that fail, and anything that the content security policy refuses."""
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
