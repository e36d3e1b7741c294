"""Dagit's web page, clicked through in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(180)]

AXE = Path(__file__).parents[2] / "services/dagit/ui/node_modules/axe-core/axe.min.js"
RUN_URL = re.compile(r"/runs/[0-9a-f-]{36}")
CTRL_A = "Control+a"


@pytest.fixture(autouse=True)
def closed_gate(world):
    world.gate.unlink(missing_ok=True)
    yield
    world.gate.touch()


def status_is(page: Page, status: str) -> None:
    expect(page.locator(f".run-status[data-status={status}]")).to_be_visible(timeout=60_000)


def write_config(page: Page, text: str) -> None:
    editor = page.get_by_label("Run config")
    editor.press(CTRL_A)
    editor.fill(text)


def test_a_job_is_launched_from_a_preset_and_watched_live_to_its_end(world, page):
    page.goto("/")
    page.get_by_role("link", name="forecast", exact=True).click()
    expect(page.locator("[data-node]")).to_have_count(4)
    expect(page.get_by_text("ops.load.config.city")).to_be_visible()  # the defaults lack what is required
    page.get_by_label("Preset").select_option(label="rome")
    expect(page.get_by_label("Run config")).to_have_value(re.compile("city: Rome"))
    expect(page.get_by_text("Valid")).to_be_visible()

    page.get_by_role("button", name="Launch").dblclick()
    page.wait_for_url(RUN_URL)
    expect(page.locator("[data-step=load][data-status=SUCCESS]")).to_be_visible()
    expect(page.locator("[data-step=wait_at_gate][data-status=RUNNING]")).to_be_visible()
    expect(page.locator(".log-row", has_text="waiting at the gate")).to_be_visible()
    status_is(page, "STARTED")

    world.gate.touch()
    status_is(page, "SUCCESS")
    expect(page.locator("[data-step=report][data-status=SUCCESS]")).to_be_visible()
    expect(page.locator(".metadata-table td", has_text="2")).to_be_visible()
    expect(page.locator(".markdown strong", has_text="done")).to_be_visible()
    assert page.evaluate("window.broken") is None
    runs = world.get("/runs", job="forecast")["runs"]
    assert [(run["preset"], run["requested_by"]["kind"]) for run in runs] == [("rome", "ui")], "pressed twice, run once"


def test_a_wrong_config_is_named_by_path_and_line_while_it_is_typed(page):
    page.goto("/jobs/cities/browser/forecast")
    write_config(page, "ops:\n  load:\n    config:\n      city: Rome\n      days: 99\n")
    problems = page.get_by_label("Problems")
    expect(problems).to_contain_text("ops.load.config.days")
    expect(problems).to_contain_text("line 5")
    expect(page.get_by_role("button", name="Launch")).to_be_disabled()
    write_config(page, "ops:\n  load: [\n")
    expect(problems).to_contain_text("line")
    write_config(page, "ops:\n  load:\n    config:\n      city: Oslo\n")
    expect(page.get_by_text("Valid")).to_be_visible()
    expect(page.get_by_role("button", name="Launch")).to_be_enabled()


def test_an_op_tells_what_it_takes_and_gives_and_is_reached_by_keyboard(page):
    page.goto("/jobs/cities/browser/forecast")
    page.locator("[data-node=load]").focus()
    page.keyboard.press("Enter")
    details = page.get_by_role("complementary", name="Op load")
    expect(details).to_contain_text("How many days.")
    expect(details.locator("strong")).to_have_text("city")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("complementary", name="Op wait_at_gate")).to_be_visible()


def test_a_failed_run_says_why_with_the_chain_of_causes(world, page):
    run_id = world.launch("failing")
    page.goto(f"/runs/{run_id}")
    status_is(page, "FAILURE")
    row = page.locator("[data-type='dagwire.step.failed']")
    expect(row).to_contain_text("the divisor must not be zero")
    expect(row).to_contain_text("caused by")
    expect(row).to_contain_text("ZeroDivisionError")
    expect(page.locator("[data-step=show][data-status=SKIPPED]")).to_be_visible()
    page.locator("[data-step=divide]").click()
    expect(page.locator(".log-row", has_text="Step skipped")).to_have_count(0)


def test_a_run_is_cancelled(world, page):
    run_id = world.launch("forecast", {"ops": {"load": {"config": {"city": "Rome"}}}})
    page.goto(f"/runs/{run_id}")
    expect(page.locator("[data-step=wait_at_gate][data-status=RUNNING]")).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the run").click()
    status_is(page, "CANCELED")
    expect(page.locator("[data-step=report][data-status=STOPPED]")).to_be_visible()


def test_the_list_of_runs_follows_without_a_reload(world, page):
    page.goto("/runs")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    run_id = world.launch("forecast", {"ops": {"load": {"config": {"city": "Oslo"}}}})
    row = page.locator(f"[data-run='{run_id}']")
    expect(row).to_contain_text("Running")
    world.gate.touch()
    expect(row).to_contain_text("Success")
    page.get_by_role("button", name="In progress").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Succeeded").click()
    expect(row).to_be_visible()


def test_a_schedule_is_switched_on_and_off_and_every_tab_sees_it(world, page):
    page.goto("/schedules")
    other = page.context.new_page()
    other.goto("/")
    switch = page.get_by_role("switch", name="Schedule every_second")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(other.get_by_role("switch", name="Schedule every_second")).to_be_visible()
    switch.click()
    expect(other.get_by_role("switch", name="Schedule every_second")).to_have_attribute("aria-checked", "true")
    page.get_by_role("link", name="every_second").click()
    expect(page.locator(".tick", has_text="Requested").nth(1)).to_be_visible()
    page.get_by_role("switch", name="Schedule every_second").click()
    expect(other.get_by_role("switch", name="Schedule every_second")).to_have_attribute("aria-checked", "false")
    page.locator(".tick-run").first.click()
    page.wait_for_url(RUN_URL)
    status_is(page, "SUCCESS")
    expect(page.get_by_text("asked: by the clock")).to_be_visible()
    assert all(
        run["requested_by"]["name"] == "every_second" for run in world.get("/runs", schedule="every_second")["runs"]
    )


def test_a_broken_location_shows_its_error_and_mends_itself_once_the_file_is_right(world, page):
    page.goto("/")
    broken = page.get_by_role("region", name="Code location broken")
    expect(broken).to_contain_text("Failed to load")
    expect(broken).to_contain_text("No module named 'a_module_that_is_not_there'")
    expect(broken.locator("pre")).to_contain_text("import a_module_that_is_not_there")
    source = "from dagwire import job, op\n\n@op\ndef mend():\n    return 1\n\n@job\ndef mended():\n    mend()\n"
    world.broken.write_text(source)
    expect(broken.get_by_role("link", name="mended", exact=True)).to_be_visible(timeout=30_000)
    expect(broken).to_contain_text("Loaded")


def test_fifty_thousand_lines_stay_smooth(world, page):
    run_id = world.launch("chatty", {"ops": {"write_lines": {"config": {"count": 50_000}}}})
    page.goto(f"/runs/{run_id}")
    expect(page.locator(".log-bar")).to_contain_text(re.compile(r"\d,\d{3} lines"))
    page.locator(".log-list").hover()
    page.mouse.wheel(0, -400)
    back = page.get_by_role("button", name=re.compile("Follow|To the end"))
    expect(back).to_be_visible()  # one turn of the wheel is enough to look back while lines pour in
    back.click()
    status_is(page, "SUCCESS")
    expect(page.locator(".log-row", has_text="Succeeded").last).to_be_visible()  # it followed to the end
    assert page.locator(".log-row").count() < 200
    page.get_by_label("Search the log").fill("line 49999 of")
    expect(page.locator(".log-row")).to_have_count(1)
    expect(page.locator(".log-row")).to_contain_text("line 49999 of 50000")
    page.get_by_label("Search the log").fill("")
    expect(page.locator(".log-bar")).to_contain_text("50,0")
    page.evaluate(COUNT_FRAMES)
    page.locator(".log-list").hover()
    for _ in range(40):
        page.mouse.wheel(0, -20_000)
    to_end = page.get_by_role("button", name="To the end")
    expect(to_end).to_be_visible()  # it lets itself be scrolled away
    frames = sorted(page.evaluate("window.frames_ms"))
    assert frames[len(frames) // 2] < 100, frames
    to_end.click()
    expect(page.locator(".log-row", has_text="Succeeded").last).to_be_visible()
    page.mouse.wheel(0, -50_000)
    expect(to_end).to_be_visible()
    page.locator(".log-list").press("End")
    expect(page.locator(".log-row", has_text="Succeeded").last).to_be_visible()
    expect(to_end).to_have_count(0)
    page.reload()
    expect(page.locator(".log-row", has_text="Succeeded").last).to_be_visible()


COUNT_FRAMES = """() => {
  window.frames_ms = [];
  let last = performance.now();
  const frame = (now) => {
    window.frames_ms.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""


def test_a_run_is_followed_through_the_death_of_dagit_and_misses_nothing(world, page, complaints):
    run_id = world.launch("forecast", {"ops": {"load": {"config": {"city": "Rome"}}}})
    page.goto(f"/runs/{run_id}")
    expect(page.locator("[data-step=wait_at_gate][data-status=RUNNING]")).to_be_visible()
    world.standalone.kill_part("dagwire_dagit")
    expect(page.locator(".connection[data-status=reconnecting]")).to_be_visible()
    world.gate.touch()
    status_is(page, "SUCCESS")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    events = world.get(f"/runs/{run_id}/events")["events"]
    expect(page.locator(".log-bar")).to_contain_text(f"{len(events)} lines")
    complaints.clear()  # the browser notes each connection that was refused


def test_an_unknown_run_says_what_to_do_and_shows_up_if_it_comes(page, complaints):
    page.goto("/runs/00000000-0000-5000-8000-000000000000")
    expect(page.get_by_text("Nothing is known of this run yet")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.goto("/runs/nonsense")
    expect(page.get_by_text("This is no run's id")).to_be_visible()
    complaints.clear()  # the browser notes the 404


def test_everything_is_reached_by_keyboard(page):
    page.goto("/runs")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Schedules")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("forec")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="forecast", level=1)).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def assert_accessible(page: Page) -> None:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    faults = page.evaluate("async () => (await axe.run()).violations")
    found = [(fault["id"], fault["nodes"][0]["html"][:200], fault["nodes"][0]["failureSummary"]) for fault in faults]
    assert found == [], page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_in_light_and_dark(world, page, scheme):
    world.gate.touch()
    run_id = world.launch("failing")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    views = {
        "/jobs": (".jobs-table", None),
        "/jobs/cities/browser/forecast": ("[data-node]", "[data-node=load]"),
        "/runs": (".runs-table", ".segments button:has-text('Failed')"),
        f"/runs/{run_id}": (".run-status[data-status=FAILURE]", ".log-toggle"),
        f"/runs/{run_id}?levels=ERROR": (".run-status[data-status=FAILURE]", "button:has-text('Config')"),
        "/schedules": (".schedules-table", ".search-button"),
        "/schedules/cities/browser/every_second": (".schedule-preview li", None),
    }
    for path, (marker, press) in views.items():
        page.goto(path)
        expect(page.locator(marker).first).to_be_visible()
        if press:
            page.locator(press).first.click()
        assert_accessible(page)
