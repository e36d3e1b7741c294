import json

import pytest
from dagwire.cli.feed import Patience
from support.fakedagit import (
    CANCELED,
    ERROR,
    OTHER_ID,
    RUN_ID,
    STORY,
    SUCCEEDED,
    a_detail,
    a_run,
    a_step,
    event,
    problem,
)


class TestList:
    def test_it_is_a_table_newest_first(self, command):
        outcome = command("run", "list")

        head, row = outcome.out.splitlines()
        assert head.split() == ["RUN", "JOB", "STATUS", "REQUESTED", "TOOK", "BY"]
        assert row.startswith(f"{RUN_ID}  weather  SUCCESS ")
        assert row.endswith(" ago   1m 05s  schedule daily") or "1m 05s  schedule daily" in row

    def test_json_is_what_the_api_answers(self, command, dagit):
        assert command("run", "list", "--json").json == {"runs": dagit.runs, "next": None}

    def test_filters_are_sent(self, command, dagit):
        command("run", "list", "-s", "failure", "-s", "CANCELED", "-j", "weather", "--tag", "a=b", "-n", "5")

        assert dagit.queries == [
            {"job": ["weather"], "limit": ["5"], "status": ["FAILURE", "CANCELED"], "tag": ["a=b"]}
        ]

    def test_a_further_page_is_offered(self, command, dagit):
        dagit.next_page = "1-77"

        assert "--before 1-77" in command("run", "list").err

    def test_no_runs_is_said(self, command, dagit):
        dagit.runs = []

        assert command("run", "list").err == "There are no runs yet.\n"
        assert command("run", "list", "-j", "x").err == "There are no such runs.\n"

    def test_an_unknown_status_lists_the_known_ones(self, command):
        outcome = command("run", "list", "-s", "done")

        assert outcome.code == 2
        assert "'success'" in outcome.err


class TestShow:
    def test_it_shows_steps_and_the_chain_of_a_failure(self, command, dagit):
        steps = [
            a_step("load", "FAILURE", error=ERROR),
            a_step("report", "SKIPPED", seconds=None, reason="load failed"),
        ]
        dagit.detail = a_detail(status="FAILURE", cause="step_failed", steps=steps)
        shown = command("run", "show", RUN_ID).out

        assert "job        examples/weather\n" in shown
        assert "  load    FAILURE  250ms  KeyError: 'city'\n" in shown
        assert "  report  SKIPPED         load failed\n" in shown
        assert 'Step load failed\n  OSError: gone\n  which led to:\n    File "repo.py", line 3, in load\n' in shown

    def test_json_is_what_the_api_answers(self, command, dagit):
        assert command("run", "show", RUN_ID, "--json").json == dagit.detail

    def test_the_beginning_of_a_recent_id_is_enough(self, command):
        assert command("run", "show", "0a1b", "--json").json["run_id"] == RUN_ID

    def test_a_beginning_that_several_have_lists_them(self, command, dagit):
        dagit.runs.append(a_run(OTHER_ID))
        outcome = command("run", "show", "0a1b")

        assert (outcome.code, outcome.err.splitlines()[1:]) == (2, [f"  {RUN_ID}", f"  {OTHER_ID}"])

    def test_a_beginning_that_none_has_is_not_found(self, command):
        assert command("run", "show", "ffff").code == 6

    def test_an_unknown_run_is_not_found(self, command):
        outcome = command("run", "show", OTHER_ID)

        assert (outcome.code, outcome.err) == (6, f"Error: There is no run {OTHER_ID}\n")

    def test_what_is_no_id_is_a_mistake(self, command):
        assert command("run", "show", "weather").code == 2


class TestLogs:
    def test_every_page_is_read_in_order(self, command):
        lines = command("run", "logs", RUN_ID).out.splitlines()

        assert len(lines) == len(STORY)
        assert lines[0].endswith("INFO     run of weather queued, asked for by cli")
        assert lines[4].endswith("INFO     load  42 rows  n=42")

    def test_json_is_one_object_per_line(self, command):
        lines = command("run", "logs", RUN_ID, "--json").out.splitlines()

        assert [json.loads(line)["event"] for line in lines] == STORY
        assert json.loads(lines[0])["cursor"] == "1-0"

    @pytest.mark.parametrize("mode", [[], ["--follow"]])
    def test_kind_level_and_step_narrow_it(self, command, mode):
        def types(*arguments: str) -> list[str]:
            lines = command("run", "logs", RUN_ID, "--json", *mode, *arguments).out.splitlines()
            return [json.loads(line)["event"]["type"].removeprefix("dagwire.") for line in lines]

        assert types("--kind", "log") == ["log.written", "log.written"]
        assert types("--kind", "log", "--level", "info") == ["log.written"]
        assert types("--step", "load") == ["step.started", "log.written", "step.succeeded"]
        assert types("--kind", "launch") == ["run.queued"]

    def test_following_ends_with_the_run(self, command):
        outcome = command("run", "logs", RUN_ID, "-f")

        assert (outcome.code, len(outcome.out.splitlines())) == (0, len(STORY))

    @pytest.mark.parametrize("cut_after", [1, 3])
    def test_following_resumes_where_it_was(self, command, dagit, cut_after):
        dagit.cut_after = cut_after
        lines = command("run", "logs", RUN_ID, "-f", "--json").out.splitlines()

        assert [json.loads(line)["cursor"] for line in lines] == [f"1-{n}" for n in range(len(STORY))]

    def test_an_event_of_a_newer_version_is_shown_raw(self, command, dagit):
        dagit.story = [event("dagwire.run.paused", 1, why="lunch"), SUCCEEDED]

        assert 'dagwire.run.paused {"why": "lunch"}' in command("run", "logs", RUN_ID).out

    def test_following_an_unknown_run_is_not_found(self, command, dagit, monkeypatch):
        monkeypatch.setattr("dagwire.cli.feed.PATIENCE", Patience(unknown=0.2))
        dagit.unknown_feeds = 1000

        assert command("run", "logs", RUN_ID, "-f").code == 6


class TestCancel:
    def test_it_is_asked_for(self, command, dagit):
        outcome = command("run", "cancel", RUN_ID)

        assert (outcome.code, dagit.cancels) == (0, [RUN_ID])

    def test_a_run_that_has_ended_refuses(self, command, dagit):
        dagit.cancel_answer = problem(409, "run_ended", "The run ended before.")

        outcome = command("run", "cancel", RUN_ID)

        assert (outcome.code, outcome.err) == (4, "Error: The run ended before\n")

    def test_waiting_ends_with_0_when_it_was_cancelled(self, command, dagit):
        dagit.story[-1:] = [CANCELED]

        assert command("run", "cancel", RUN_ID, "--wait").code == 0

    def test_waiting_ends_with_1_when_it_succeeded_meanwhile(self, command):
        assert command("run", "cancel", RUN_ID, "--wait").code == 1

    def test_json_is_what_the_api_answers(self, command):
        assert command("run", "cancel", RUN_ID, "--json").json == {"run_id": RUN_ID}
