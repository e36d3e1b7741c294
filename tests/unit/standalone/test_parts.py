import json
from urllib.parse import urlsplit

import pytest
import yaml
from dagwire_standalone import parts, summary
from dagwire_standalone.directory import Directory
from dagwire_standalone.parts import Code, Plan
from dagwire_standalone.summary import LocationFact, RunFact


@pytest.fixture
def plan(tmp_path):
    directory = Directory(tmp_path / "data")
    directory.create()
    return Plan(
        directory=directory,
        host="127.0.0.1",
        dagit_port=3000,
        nats_port=4222,
        store_database="postgresql://dagwire_store:one@127.0.0.1:5433/dagwire",
        reader_database="postgresql://dagwire_reader:two@127.0.0.1:5433/dagwire",
        codes=[Code("weather", ["-f", "repo.py"], tmp_path, 4000)],
        log_level="INFO",
        max_concurrent_runs=10,
    )


def test_the_workspace_names_each_code_server(plan):
    assert yaml.safe_load(parts.workspace(plan)) == {
        "load_from": [{"grpc_server": {"host": "127.0.0.1", "port": 4000, "location_name": "weather"}}]
    }


def test_only_the_event_store_may_write_the_database(plan):
    holders = {
        part.name: part.environment
        for part in (parts.event_store(plan), parts.scheduler(plan), parts.launcher(plan), parts.dagit(plan))
    }
    with_store = [name for name, env in holders.items() if plan.store_database in env.values()]
    with_reader = [name for name, env in holders.items() if plan.reader_database in env.values()]
    assert (with_store, with_reader) == (["eventstore"], ["dagit"])


def test_a_code_server_is_given_no_credential(plan):
    code_server = parts.code_server(plan, plan.codes[0])
    assert not [value for value in code_server.environment.values() if "://" in value]


def test_each_service_has_a_user_of_its_own_and_run_workers_none(plan):
    services = (parts.event_store(plan), parts.scheduler(plan), parts.launcher(plan), parts.dagit(plan))
    urls = {part.name: part.environment[f"DAGWIRE_{part.name.upper()}_NATS_URL"] for part in services}
    assert {urlsplit(url).username: name for name, url in urls.items()} == {name: name for name in urls}
    assert len({urlsplit(url).password for url in urls.values()}) == len(urls)
    launcher = parts.launcher(plan).environment
    assert launcher["DAGWIRE_LAUNCHER_WORKER_NATS_URL"] == "nats://127.0.0.1:4222"
    assert launcher["DAGWIRE_LAUNCHER_CREDENTIAL_SECRET"] == plan.directory.secret("credential")


def test_only_the_launcher_is_given_the_credential_secret(plan):
    others = (parts.event_store(plan), parts.scheduler(plan), parts.dagit(plan), parts.code_server(plan, plan.codes[0]))
    assert not [part.name for part in others if plan.credential_secret in part.environment.values()]
    assert plan.credential_secret not in parts.nats_configuration(plan)


def test_the_nats_server_knows_the_services_and_the_client_and_asks_about_everybody_else(plan):
    found = json.loads(parts.nats_configuration(plan))
    listed = found["accounts"]["DAGWIRE"]["users"]
    names = ["dagit", "scheduler", "launcher", "eventstore", "client"]
    assert [user["user"] for user in listed] == names
    assert found["authorization"]["auth_callout"]["auth_users"] == names
    assert all(user["permissions"]["publish"]["allow"] for user in listed)


def test_the_summary_shows_addresses_without_passwords(plan):
    text = summary.ready(plan, [LocationFact("weather", jobs=1, schedules=2)], 3.21)
    assert "http://127.0.0.1:3000" in text
    assert "nats://client@127.0.0.1:4222" in text
    assert "postgresql://dagwire_reader@127.0.0.1:5433/dagwire" in text
    assert "weather (1 job, 2 schedules)" in text
    assert plan.directory.secret("nats-client") not in text
    assert ":two@" not in text


def test_the_summary_says_why_a_location_did_not_load(plan):
    text = summary.ready(plan, [LocationFact("weather", 0, 0, error="ImportError: no pandas")], 1)
    assert "weather did not load: ImportError: no pandas" in text


@pytest.mark.parametrize(
    ("status", "words"),
    [("SUCCESS", "succeeded in 1.5 s"), ("FAILURE", "failed in 1.5 s: disk full"), ("CANCELED", "was cancelled")],
)
def test_the_summary_says_how_the_first_run_ended(plan, status, words):
    assert words in summary.first_run(plan, RunFact("some-id", "report", status, 1.5, "disk full"))
