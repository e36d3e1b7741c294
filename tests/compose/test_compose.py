"""What `docker compose up` gives: a browser's view, runs in containers, a history that stays, and no right too many."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect
from support.chromium import chromium
from support.compose import ROOT, engine, inspect, tag
from support.standalone import follow_to_end, wait_until

pytestmark = pytest.mark.timeout(240)

ONE_SHOTS = {"secrets", "migrate"}
ROOTS = {"secrets", "launcher"}
SOCKET = "docker.sock"


def launch(client, preset="all_years"):
    body = {"location": "weather", "repository": "weather", "job": "weather_report", "preset": preset}
    answer = client.post("/api/v1/runs", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["run_id"]


def ended(client, run_id):
    """The run, once its end is stored."""
    return wait_until(lambda: (run := client.get(f"/api/v1/runs/{run_id}").json()).get("ended_at") and run)


def container(run_id):
    (found,) = inspect(f"dagwire-run-{run_id}")
    return found


def mounts(shown):
    return [mount["Source"] for mount in shown["Mounts"]]


def test_every_service_is_healthy_and_what_runs_once_has_succeeded(dagwire):
    containers = dagwire.containers()
    assert {name for name, one in containers.items() if one["State"]["Status"] == "exited"} == ONE_SHOTS
    assert {one["State"]["ExitCode"] for one in containers.values()} == {0}
    healthy = {name for name, one in containers.items() if one["State"].get("Health", {}).get("Status") == "healthy"}
    assert healthy == containers.keys() - ONE_SHOTS


def test_the_browser_is_shown_dagit_and_the_example(client):
    page = client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    (script,) = re.findall(r'src="(/assets/index-[^"]+\.js)"', page.text)
    assert client.get(script).status_code == 200
    (location,) = client.get("/api/v1/locations").json()
    assert (location["name"], location["status"], location["image"]) == (
        "weather",
        "LOADED",
        f"dagwire/example-weather:{tag()}",
    )


def test_in_a_browser_the_example_is_found_launched_and_watched_to_its_end(dagwire):
    with chromium() as browser:
        page = browser.new_page(base_url=dagwire.url)
        page.goto("/")
        page.get_by_role("link", name="weather_report", exact=True).click()
        page.get_by_label("Preset").select_option(label="one_year")
        expect(page.get_by_text("Valid")).to_be_visible()
        page.get_by_role("button", name="Launch").click()
        page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}"))
        expect(page.locator(".run-status[data-status=SUCCESS]")).to_be_visible(timeout=60_000)
        expect(page.locator("[data-step=write_report][data-status=SUCCESS]")).to_be_visible()


def test_a_run_launched_from_dagit_is_a_container_and_is_seen_live_to_its_end(client):
    run_id = launch(client)
    status, seen = follow_to_end(client, run_id)
    assert status == "SUCCESS"
    assert "dagwire.step.succeeded" in {event["type"] for _, event in seen}
    shown = container(run_id)
    assert shown["Config"]["Image"] == f"dagwire/example-weather:{tag()}"
    wait_until(lambda: container(run_id)["State"]["Status"] == "exited")
    assert container(run_id)["State"]["ExitCode"] == 0
    assert ended(client, run_id)["status"] == "SUCCESS"


def test_a_run_has_no_password_but_its_own_no_socket_and_no_way_to_the_database(dagwire, client):
    run_id = launch(client)
    ended(client, run_id)
    shown = container(run_id)
    environment = dict(line.split("=", 1) for line in shown["Config"]["Env"])
    assert environment["DAGWIRE_WORKER_NATS_URL"].startswith(f"nats://{run_id}:")
    assert not [name for name in environment if re.search("DATABASE|POSTGRES|PASSWORD|SECRET", name)]
    assert mounts(shown) == []
    assert shown["NetworkSettings"]["Networks"].keys() == {f"{dagwire.project}_runs"}
    known = {
        alias
        for one in dagwire.containers().values()
        for network, at in one["NetworkSettings"]["Networks"].items()
        if network == f"{dagwire.project}_runs"
        for alias in at["Aliases"] or []
    }
    assert "nats" in known
    assert not known & {"postgres", "dagit", "launcher", "eventstore", "scheduler", "weather"}


def test_the_engines_socket_is_the_launchers_alone_and_dagit_is_reached_from_this_machine_only(dagwire):
    containers = dagwire.containers()
    assert {name for name, one in containers.items() if any(SOCKET in source for source in mounts(one))} == {"launcher"}
    bound = {
        (name, at["HostIp"])
        for name, one in containers.items()
        for ports in (one["NetworkSettings"]["Ports"] or {}).values()
        for at in ports or []
    }
    assert bound == {("dagit", "127.0.0.1")}


def test_only_those_that_need_the_database_can_reach_it(dagwire):
    network = f"{dagwire.project}_database"
    there = {name for name, one in dagwire.containers().items() if network in one["NetworkSettings"]["Networks"]}
    assert there == {"postgres", "migrate", "eventstore", "dagit"}


def test_each_container_is_read_only_without_capabilities_and_not_root_unless_it_says_why(dagwire):
    for name, one in dagwire.containers().items():
        host = one["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert bool(host["CapAdd"]) == (name == "secrets"), name
        assert (one["Config"]["User"].split(":")[0] == "0") == (name in ROOTS), name


def test_each_service_has_its_own_secrets_and_none_stands_in_a_setting_or_a_log(dagwire):
    secrets = {}
    for name, one in dagwire.containers().items():
        assert not [line for line in one["Config"]["Env"] if re.search(r"(PASSWORD|SECRET)=", line)], name
        volumes = [
            mount["Name"] for mount in one["Mounts"] if mount.get("Name", "").startswith(f"{dagwire.project}_sec")
        ]
        if name not in ONE_SHOTS:
            secrets[name] = volumes
    assert secrets == {
        name: [f"{dagwire.project}_secrets-{name}"] if name not in {"nats", "weather"} else [] for name in secrets
    }
    password = dagwire("exec", "-T", "dagit", "cat", "/run/secrets/dagwire_dagit_database_password")
    assert len(password) == 64
    assert password not in dagwire("logs")
    assert password not in json.dumps(dagwire.containers())


FOLLOW = """
import asyncio, json, nats, sys
async def main():
    client = await nats.connect(sys.argv[1], max_reconnect_attempts=1)
    events = await client.jetstream().subscribe("dagwire.v1.event.>", ordered_consumer=True)
    seen = [json.loads((await events.next_msg(timeout=10)).data)["type"] for _ in range(2)]
    print(*seen)
    await client.close()
asyncio.run(main())
"""


def test_a_program_of_ones_own_follows_the_bus_with_the_password_that_people_can_read(dagwire, client):
    ended(client, launch(client))
    password = dagwire("run", "--rm", "--no-deps", "-T", "secrets", "cat", "/volumes/secrets/nats_client_password")
    image, network = f"dagwire/user-code:{tag()}", f"{dagwire.project}_runs"
    command = ("python", "-c", FOLLOW, f"nats://client:{password}@nats:4222")
    assert "dagwire.run.queued" in engine("run", "--rm", "--network", network, image, *command)


def test_runs_go_on_and_end_once_while_the_launcher_is_killed_and_started_again(dagwire, client):
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: launch(client), range(4)))
        engine("restart", "--time", "0", dagwire.containers()["launcher"]["Id"])
        assert [run["status"] for run in pool.map(lambda run_id: ended(client, run_id), runs)] == ["SUCCESS"] * 4
    assert len([one for one in dagwire.runs() if one["Config"]["Labels"]["dagwire/run-id"] in runs]) == 4


def test_down_and_up_keep_the_history_and_the_next_run_works(dagwire, client):
    run_id = launch(client, preset="one_year")
    ended(client, run_id)
    before = client.get(f"/api/v1/runs/{run_id}/events").json()
    dagwire("down", "--timeout", "10")
    dagwire.up()
    assert client.get(f"/api/v1/runs/{run_id}").json()["status"] == "SUCCESS"
    assert client.get(f"/api/v1/runs/{run_id}/events").json() == before
    assert ended(client, launch(client))["status"] == "SUCCESS"


def test_the_file_names_the_version_that_make_images_builds():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    named = re.findall(r"\$\{DAGWIRE_TAG:-([^}]+)\}", (ROOT / "docker-compose.yml").read_text())
    assert set(named) == {version[1]}
