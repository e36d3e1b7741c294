"""The walk-through of docs/how-to/install-with-helm.md: an empty namespace, the chart, a run, a browser."""

import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright
from support.release import EXAMPLE, Release

pytestmark = pytest.mark.xdist_group("release")

COMPONENTS = ["dagit", "scheduler", "launcher", "eventstore", "nats", "postgresql", "user-code"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
RUN_URL = re.compile(r"/runs/([0-9a-f-]{36})")


@pytest.fixture(scope="module")
def release(module_namespace):
    release = Release(module_namespace)
    release.upgrade(EXAMPLE)
    return release


@pytest.fixture
def page():
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("the walk-through needs the command `chromium`: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_becomes_ready(release, component):
    assert release.pod(component)


def test_a_run_launched_in_the_playground_is_shown_live_and_is_a_completed_job(release, page, tmp_path):
    with release.namespace.forwarded(release.pod("dagit"), 80) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("link", name="weather_report", exact=True).click()
        expect(page.get_by_label("Preset")).to_have_value("defaults")
        expect(page.get_by_text("Valid")).to_be_visible()
        page.get_by_role("button", name="Launch").click()
        page.wait_for_url(RUN_URL)
        run_id = RUN_URL.search(page.url).group(1)
        expect(page.locator(".run-status[data-status=SUCCESS]")).to_be_visible(timeout=60_000)
        expect(page.locator("[data-step=write_report][data-status=SUCCESS]")).to_be_visible()
        page.screenshot(path=tmp_path / "run.png")
    job = f"dagwire-run-{run_id}"
    release.namespace.wait("condition=Complete", f"job/{job}", seconds=30)
    labels = release.namespace.get("job", job)["metadata"]["labels"]
    assert labels["dagwire/run-id"] == run_id
    assert labels["dagwire/job"] == "weather_report"
    assert labels["dagwire/code-location"] == "weather"


def test_a_run_pod_has_no_database_password_and_no_token_of_the_cluster(release):
    run_id = release.launch(key="what-a-pod-holds")
    assert release.follow(run_id)[0] == "SUCCESS"
    (pod,) = release.namespace.objects("pods", f"dagwire/run-id={run_id}")
    assert pod["spec"]["automountServiceAccountToken"] is False
    text = str(pod["spec"]).lower()
    assert "postgres" not in text
    assert "serviceaccount/token" not in text
    assert "secretkeyref" not in text


def test_the_release_tests_itself(release):
    release.namespace.helm("test", release.name)
