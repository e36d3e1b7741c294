import json
from importlib.metadata import version

import pytest
from fastapi.responses import Response
from support.fakedagit import (
    CANCELED,
    FAILED,
    OTHER_ID,
    QUEUED,
    RUN_ID,
    STEP_FAILED,
    STORY,
    a_detail,
    a_job,
    problem,
)

INVALID = problem(
    422,
    "config_invalid",
    "The run config does not fit job weather.",
    [{"path": ["ops", "load", "config", "limit"], "message": "Input should be a valid integer"}],
)


class TestList:
    def test_it_is_an_aligned_table_without_empty_columns(self, command):
        outcome = command("job", "list")

        assert outcome.out == (
            "JOB      LOCATION  PRESETS  SCHEDULES  DESCRIPTION\nweather  examples  berlin   daily      Runs weather.\n"
        )

    def test_json_is_what_the_api_answers(self, command, dagit):
        assert command("job", "list", "--json").json == dagit.jobs

    def test_it_can_be_narrowed_to_a_location(self, command, dagit):
        dagit.jobs.append(a_job("etl", "other"))

        assert [job["name"] for job in command("job", "list", "-l", "other", "--json").json] == ["etl"]

    def test_no_jobs_is_said_on_stderr(self, command, dagit):
        dagit.jobs.clear()
        outcome = command("job", "list")

        assert (outcome.code, outcome.out) == (0, "")
        assert "There are no jobs" in outcome.err

    def test_it_says_who_it_is(self, command, dagit):
        command("job", "list")

        assert dagit.agents == {(f"dagwire-cli/{version('dagwire')}", "cli")}


class TestShow:
    def test_it_shows_ops_presets_and_config(self, command):
        shown = command("job", "show", "weather").out

        assert "  OP      READS        GIVES        DESCRIPTION\n" in shown
        assert "  report  load.result               Load rows.\n" in shown
        assert "  berlin  The Berlin station\n" in shown
        assert "        limit: 10\n" in shown
        assert "dagwire job launch examples/weather --preset berlin --wait" in shown

    def test_json_is_what_the_api_answers(self, command):
        assert command("job", "show", "weather", "--json").json["executor"] == "in_process"

    def test_a_name_that_is_close_is_suggested(self, command):
        outcome = command("job", "show", "wether")

        assert (outcome.code, outcome.err) == (6, "Error: there is no job 'wether'; did you mean 'weather'?\n")

    def test_a_name_that_several_have_lists_them(self, command, dagit):
        dagit.jobs.append(a_job("weather", "other", "team"))
        outcome = command("job", "show", "weather")

        assert outcome.code == 2
        assert outcome.err == (
            "Error: 2 jobs are called 'weather': say which one\n  examples/weather\n  other/team/weather\n"
        )


class TestLaunch:
    def test_it_prints_the_run_id_alone_on_stdout(self, command, dagit):
        outcome = command("job", "launch", "weather")

        assert (outcome.code, outcome.out) == (0, f"{RUN_ID}\n")
        assert f"{dagit.url}/runs/{RUN_ID}" in outcome.err

    def test_json_is_what_the_api_answers(self, command):
        assert command("job", "launch", "weather", "--json", "--idempotency-key", "k").json == {
            "run_id": RUN_ID,
            "key": "k",
            "duplicate": False,
        }

    def test_preset_config_tags_and_key_are_sent(self, command, dagit, tmp_path):
        config = tmp_path / "config.yaml"
        config.write_text("ops:\n  load:\n    config: {limit: 3, since: 2026-01-31}\n")
        command(
            *("job", "launch", "weather", "--preset", "berlin", "--config", str(config)),
            *("--tag", "team=data", "--tag", "a=b=c", "--idempotency-key", "mine"),
        )

        assert dagit.launches == [
            (
                "mine",
                {
                    "location": "examples",
                    "repository": "__repository__",
                    "job": "weather",
                    "preset": "berlin",
                    "run_config": {"ops": {"load": {"config": {"limit": 3, "since": "2026-01-31"}}}},
                    "tags": {"team": "data", "a": "b=c"},
                },
            )
        ]

    @pytest.mark.parametrize("source", ["-", '{"ops": {}}'])
    def test_a_config_comes_from_stdin_or_from_the_line(self, command, dagit, source):
        command("job", "launch", "weather", "-c", source, stdin='{"ops": {}}')

        assert dagit.launches[0][1]["run_config"] == {"ops": {}}

    def test_a_key_is_made_if_none_is_given(self, command, dagit):
        command("job", "launch", "weather")

        assert dagit.launches[0][0]

    def test_a_duplicate_is_told(self, command, dagit):
        body = json.dumps({"run_id": RUN_ID, "key": "k", "duplicate": True})
        dagit.launch_answers = [Response(body, 202, media_type="application/json")]
        outcome = command("job", "launch", "weather", "--idempotency-key", "k")

        assert (outcome.code, outcome.out) == (0, f"{RUN_ID}\n")
        assert "no second one was started" in outcome.err

    def test_a_bad_config_shows_each_fault_with_its_path(self, command, dagit):
        dagit.launch_answers = [INVALID]
        outcome = command("job", "launch", "weather")

        assert (outcome.code, outcome.out) == (4, "")
        assert outcome.err == (
            "Error: The run config does not fit job weather\n  ops.load.config.limit: Input should be a valid integer\n"
        )

    def test_a_bus_that_is_away_is_asked_again_under_the_same_key(self, command, dagit):
        away = problem(503, "bus_unavailable", "The bus is away.")
        away.headers["Retry-After"] = "0.1"
        dagit.launch_answers = [away, away]
        outcome = command("job", "launch", "weather")

        assert (outcome.code, outcome.out) == (0, f"{RUN_ID}\n")
        assert len({key for key, _ in dagit.launches}) == 1
        assert len(dagit.launches) == 3
        assert "asking again" in outcome.err

    def test_a_bus_that_stays_away_ends_with_the_key_to_ask_again(self, command, dagit):
        away = problem(503, "bus_unavailable", "The bus is away.")
        away.headers["Retry-After"] = "0.4"
        dagit.launch_answers = [away] * 20
        outcome = command("job", "launch", "weather", "--idempotency-key", "mine")

        assert outcome.code == 5
        assert "--idempotency-key mine: that never starts a second run" in outcome.err

    def test_a_tag_without_equals_sign_is_refused_before_anything_is_sent(self, command, dagit):
        outcome = command("job", "launch", "weather", "--tag", "team")

        assert outcome.code == 2
        assert "'team' is no tag: write it KEY=VALUE" in outcome.err
        assert not dagit.launches


class TestWait:
    def test_a_run_that_succeeds_ends_with_0_and_tells_its_steps(self, command):
        outcome = command("job", "launch", "weather", "--wait")

        assert (outcome.code, outcome.out) == (0, f"{RUN_ID}\n")
        assert "run succeeded in 1.5s" in outcome.err
        assert "load  succeeded in 250ms" in outcome.err
        assert "42 rows" not in outcome.err

    def test_a_run_that_fails_ends_with_1_and_shows_the_error(self, command, dagit):
        dagit.story[-2:] = [STEP_FAILED, FAILED]
        outcome = command("job", "launch", "weather", "--wait")

        assert outcome.code == 1
        assert "    KeyError: 'city'\n" in outcome.err
        assert outcome.err.count("KeyError") == 1
        assert outcome.err.endswith("ERROR    run failed after 1.5s: step load failed\n")

    def test_a_run_that_is_cancelled_ends_with_3(self, command, dagit):
        dagit.story[-1:] = [CANCELED]

        assert command("job", "launch", "weather", "--wait").code == 3

    def test_the_first_ending_counts(self, command, dagit):
        dagit.story += [FAILED]

        assert command("job", "launch", "weather", "--wait").code == 0

    def test_json_is_the_run_as_it_ended(self, command, dagit):
        dagit.detail = a_detail(status="SUCCESS")
        outcome = command("job", "launch", "weather", "--wait", "--json")

        assert outcome.json["status"] == "SUCCESS"

    def test_a_run_that_is_recorded_a_moment_later_is_waited_for(self, command, dagit):
        dagit.unknown_feeds = 2

        assert command("job", "launch", "weather", "--wait").code == 0
        assert len(dagit.feeds) == 3

    def test_the_time_to_wait_is_kept(self, command, dagit):
        dagit.story, dagit.silent = [QUEUED], True
        outcome = command("job", "launch", "weather", "--wait", "--timeout", "300ms")

        assert (outcome.code, outcome.out) == (8, f"{RUN_ID}\n")
        assert "it goes on" in outcome.err

    def test_a_timeout_alone_is_a_mistake(self, command):
        assert "--timeout goes with --wait" in command("job", "launch", "weather", "--timeout", "3s").err

    @pytest.mark.parametrize("cut_after", [1, 2, 3])
    def test_a_feed_that_breaks_again_and_again_is_resumed_without_loss(self, command, dagit, cut_after):
        dagit.cut_after = cut_after
        outcome = command("job", "launch", "weather", "--wait")

        told = [line for line in outcome.err.splitlines() if line.startswith("2026-")]
        assert outcome.code == 0
        assert len(told) == len([one for one in STORY if not one["type"].startswith("dagwire.log.")])
        assert dagit.feeds[0][0] is None
        assert all(last is not None for last, _ in dagit.feeds[1:])


def test_other_ids_are_not_touched(command, dagit):
    assert OTHER_ID not in command("job", "launch", "weather").out
