from datetime import UTC, datetime, timedelta

from support.fakedagit import a_schedule


def test_the_list_tells_next_and_last_tick(command, dagit):
    now = datetime.now(UTC)
    last = {"nominal_time": (now - timedelta(minutes=29, seconds=5)).isoformat(), "status": "REQUESTED"}
    dagit.schedules = [
        a_schedule(),
        a_schedule(
            "hourly", status="RUNNING", next_tick=(now + timedelta(minutes=31, seconds=5)).isoformat(), last_tick=last
        ),
    ]
    _, daily, hourly = command("schedule", "list").out.splitlines()

    assert daily.split("  ")[0] == "daily"
    assert daily.endswith("weather (berlin)")
    assert hourly.endswith("weather (berlin)  in 31m     REQUESTED 29m ago")


def test_json_is_what_the_api_answers(command, dagit):
    assert command("schedule", "list", "--json").json == dagit.schedules


def test_start_and_stop_tell_the_new_state(command):
    assert command("schedule", "start", "daily").err == "examples/daily is RUNNING, next tick in 3h\n"
    assert command("schedule", "stop", "examples/daily").err == "examples/daily is STOPPED\n"


def test_start_answers_json(command):
    assert command("schedule", "start", "daily", "--json").json["status"] == "RUNNING"


def test_an_unknown_schedule_is_not_found(command):
    outcome = command("schedule", "start", "dayly")

    assert (outcome.code, outcome.err) == (6, "Error: there is no schedule 'dayly'; did you mean 'daily'?\n")


def test_preview_shows_local_and_universal_time(command):
    lines = command("schedule", "preview", "daily", "-n", "2").out.splitlines()

    assert lines[0].split() == ["Europe/Berlin", "UTC", "WHEN"]
    assert lines[1].startswith("Wed 2099-06-10 06:00:00 CEST  2099-06-10T04:00:00Z  in ")
    assert len(lines) == 3


def test_preview_answers_json(command):
    assert command("schedule", "preview", "daily", "-n", "1", "--json").json == {"ticks": ["2099-06-10T04:00:00+00:00"]}


def test_no_schedules_is_said(command, dagit):
    dagit.schedules = []

    assert command("schedule", "list").err == "There are no schedules.\n"
