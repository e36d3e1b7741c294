"""What is granted, as data."""

import pytest
from dagwire_launcher.authorization import access, configuration
from dagwire_launcher.permissions import run_permissions
from dagwire_launcher.secret import CredentialSecret
from dagwire_launcher.users import CLIENT, SERVICES, users
from dagwire_shared.errors import SettingsError
from dagwire_shared.ids import RunId

RUN = RunId("a1111111-1111-4111-8111-111111111111")
SECRET = CredentialSecret("0123456789abcdef0123456789abcdef")
PASSWORDS = {name: f"{name}-password" for name in users()}


def test_a_run_may_do_this_and_no_more():
    granted = run_permissions(RUN)
    events = f"dagwire.v1.event.a.{RUN}"
    assert sorted(granted.publish) == sorted(
        [
            *(f"{events}.{kind}" for kind in ("run", "step", "data", "log", "engine", "order")),
            *(
                f"$JS.API.DIRECT.GET.DAGWIRE_EVENTS.{events}.{kind}"
                for kind in ("run", "step", "data", "log", "engine", "order", "launch", "worker")
            ),
            f"$JS.API.DIRECT.GET.DAGWIRE_CONTROL.dagwire.v1.control.{RUN}",
            f"dagwire.v1.step.{RUN}.>",
            f"_INBOX_{RUN}.>",
        ]
    )
    assert sorted(granted.subscribe) == sorted(
        [f"_INBOX_{RUN}.>", f"dagwire.v1.control.{RUN}", f"dagwire.v1.step.{RUN}.>", f"{events}.worker"]
    )
    assert not granted.answers


def test_each_of_a_runs_subjects_names_the_run():
    granted = run_permissions(RUN)
    assert all(
        RUN in subject.split(".") or subject == f"_INBOX_{RUN}.>" for subject in [*granted.publish, *granted.subscribe]
    )


def test_one_service_alone_writes_each_family_of_subjects():
    # A consumer that acts for two would be a second writer (ADR 0003).
    for subject, writers in {
        "dagwire.v1.event.*.*.launch": {"launcher"},
        "dagwire.v1.event.*.*.worker": {"launcher"},
        "dagwire.v1.event.*.*.tick": {"scheduler"},
        "dagwire.v1.queue.*": {"launcher"},
        "dagwire.v1.request.*": {"dagit", "scheduler", "client"},
        "dagwire.v1.control.*": {"dagit", "client"},
        "dagwire.v1.signal.stored": {"eventstore"},
        "$KV.dagwire_state.switch.*": {"dagit"},
        "$KV.dagwire_state.cursor.*": {"scheduler"},
    }.items():
        assert {name for name, one in users().items() if subject in one.publish} == writers


def test_no_user_has_the_run_of_the_server():
    for one in users().values():
        assert not {">", "$JS.>", "$JS.API.>", "dagwire.>", "dagwire.v1.>", "$SYS.>", "$KV.>"} & {
            *one.publish,
            *one.subscribe,
        }


def test_each_user_is_known_to_the_server_and_everybody_else_is_asked_about():
    blocks = access(SECRET, PASSWORDS)
    callout = blocks["authorization"]["auth_callout"]
    assert [user["user"] for user in blocks["accounts"]["DAGWIRE"]["users"]] == [*SERVICES, CLIENT]
    assert callout["auth_users"] == [*SERVICES, CLIENT]
    assert callout["account"] == "DAGWIRE"
    assert callout["issuer"].startswith("A")
    assert callout["xkey"].startswith("X")


def test_run_workers_are_an_account_that_reaches_of_the_streams_what_a_run_needs():
    services, workers = (access(SECRET, PASSWORDS)["accounts"][name] for name in ("DAGWIRE", "WORKERS"))
    assert set(workers) == {"imports"}
    exported = {one.get("service") or one.get("stream") for one in services["exports"]}
    assert all(one["accounts"] == ["WORKERS"] for one in services["exports"])
    assert exported == {(one.get("service") or one.get("stream"))["subject"] for one in workers["imports"]}
    assert not any(subject.endswith((".launch", ".tick", ">")) for subject in exported if not subject.startswith("$JS"))
    granted = run_permissions(RUN)
    own = (f"_INBOX_{RUN}.>", f"dagwire.v1.step.{RUN}.>")
    for subject in {*granted.publish, *granted.subscribe} - {*own}:
        assert any(covers(pattern, subject) for pattern in exported), subject


def covers(pattern: str, subject: str) -> bool:
    return len(pattern.split(".")) == len(subject.split(".")) and all(
        one in ("*", other) for one, other in zip(pattern.split("."), subject.split("."), strict=True)
    )


def test_there_need_be_no_client():
    services = {name: password for name, password in PASSWORDS.items() if name != CLIENT}
    assert [user["user"] for user in access(SECRET, services)["accounts"]["DAGWIRE"]["users"]] == [*SERVICES]


def test_wrong_passwords_are_all_named_at_once_and_not_shown():
    wrong = {**PASSWORDS, "dagit": "$2a$11$hash", "scheduler": "line\nbreak", "launcher": ""}
    with pytest.raises(SettingsError) as caught:
        configuration(SECRET, wrong)
    text = str(caught.value)
    assert all(f"DAGWIRE_NATS_{name}_PASSWORD" in text for name in ("DAGIT", "SCHEDULER", "LAUNCHER"))
    assert "hash\n" not in text
    assert "$2a$" not in text
    assert "break" not in text


def test_the_configuration_holds_no_secret_key():
    text = configuration(SECRET, PASSWORDS)
    assert "0123456789abcdef" not in text
    assert SECRET.issuer_seed.hex() not in text
