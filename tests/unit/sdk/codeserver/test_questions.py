import json

import pytest
from dagwire import Config, Definitions, job, op
from dagwire.code import DefinitionNotFoundError
from dagwire.codeserver import questions
from dagwire.codeserver.answers import BadRequestError
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from pydantic import field_validator
from support.definitions import code


def validated(config: object = None, *, preset: str | None = None, **fields: str) -> pb.ValidateRunConfigResponse:
    text = config if isinstance(config, str) else json.dumps(config or {})
    names = {"repository": "team", "job": "weather", **fields}
    return questions.validate(code(), pb.ValidateRunConfigRequest(run_config_json=text, preset=preset, **names))


def faults(answer: pb.ValidateRunConfigResponse) -> dict[str, str]:
    return {".".join(error.path): error.message for error in answer.errors}


def evaluated(day: int) -> pb.EvaluateScheduleResponse:
    request = pb.EvaluateScheduleRequest(repository="team", schedule="daily")
    request.scheduled_time.FromJsonString(f"2026-06-{day:02}T04:00:00Z")
    return questions.evaluate(code(), request)


class TestValidate:
    def test_a_preset_alone_fits_and_comes_back_with_every_default(self):
        answer = validated(preset="berlin")

        assert not answer.errors
        assert json.loads(answer.run_config_json)["ops"]["load"]["config"] == {"limit": 10, "station": "berlin"}

    def test_what_is_given_beats_the_preset(self):
        answer = validated({"ops": {"load": {"config": {"limit": 2}}}}, preset="berlin")

        assert json.loads(answer.run_config_json)["ops"]["load"]["config"] == {"limit": 2, "station": "berlin"}

    def test_each_fault_has_its_path(self):
        answer = validated({"ops": {"load": {"config": {"limit": "many"}}, "lod": {}}})

        assert set(faults(answer)) == {
            "ops.load.config.limit",
            "ops.load.config.station",
            "ops.lod",
            "resources.store.config",
        }
        assert json.loads(answer.run_config_json)["ops"]["load"]["config"] == {"limit": "many"}

    def test_an_unknown_preset_is_a_fault_that_names_the_known_ones(self):
        assert faults(validated(preset="paris")) == {"preset": "job 'weather' has no preset 'paris'; it has 'berlin'"}

    def test_an_empty_config_text_is_an_empty_config(self):
        assert "ops.load.config" in ",".join(faults(validated("")))

    @pytest.mark.parametrize(("text", "message"), [("[", "no JSON"), ("[]", "no JSON object but a list")])
    def test_a_config_that_is_no_json_object_is_refused(self, text, message):
        with pytest.raises(BadRequestError, match=message):
            validated(text)

    def test_an_unknown_job_is_refused(self):
        with pytest.raises(DefinitionNotFoundError, match="repository 'team' has no job 'x'"):
            validated(job="x")

    def test_a_validator_of_the_users_own_that_breaks_is_a_fault(self):
        class Odd(Config):
            at: int = 1

            @field_validator("at")
            @classmethod
            def check(cls, value: int) -> int:
                if value == 2:
                    raise KeyError("table")
                return value

        @op
        def load(config: Odd): ...

        @job
        def odd():
            load()

        request = pb.ValidateRunConfigRequest(
            repository="__repository__", job="odd", run_config_json='{"ops": {"load": {"config": {"at": 2}}}}'
        )
        answer = questions.validate(code(Definitions(jobs=[odd]).repository), request)

        assert faults(answer) == {"": "checking it raised KeyError: 'table'"}


class TestPlan:
    def test_steps_come_in_order_with_what_they_wait_for(self):
        request = pb.GetExecutionPlanRequest(repository="team", job="weather", preset="berlin")
        steps = {step.key: list(step.depends_on) for step in questions.plan(code(), request).steps}

        assert steps == {
            "load": [],
            "ready.clean": ["load"],
            "branch": ["ready.clean"],
            "merge": ["branch"],
            "tidy": ["merge"],
        }

    def test_a_config_that_does_not_fit_is_refused_with_its_places(self):
        with pytest.raises(BadRequestError, match=r"ops\.load\.config"):
            questions.plan(code(), pb.GetExecutionPlanRequest(repository="team", job="weather"))

    def test_an_unknown_preset_is_refused(self):
        with pytest.raises(BadRequestError, match="no preset 'paris'"):
            questions.plan(code(), pb.GetExecutionPlanRequest(repository="team", job="weather", preset="paris"))


class TestEvaluate:
    def test_a_request_is_completed_by_its_schedule_and_sees_local_time(self):
        (request,) = evaluated(10).run_requests

        assert (request.job, request.preset, dict(request.tags)) == ("weather", "berlin", {"hour": "6"})
        assert not request.HasField("run_key")

    def test_several_requests_keep_their_keys_and_configs(self):
        first, second = evaluated(5).run_requests

        assert (first.run_key, second.run_key) == ("a", "b")
        assert json.loads(first.run_config_json) == {"ops": {"load": {"config": {"limit": 1}}}}

    def test_a_skip_has_its_reason(self):
        assert evaluated(1).skip_reason == "no paper on the first"

    def test_what_the_code_raises_is_the_answer(self):
        error = evaluated(2).error

        assert (error.type, error.message) == ("ValueError", "nothing on the second")
        assert "in daily" in error.stack[-1]

    def test_an_exit_of_the_code_is_the_answer(self):
        assert evaluated(6).error.type == "SystemExit"

    def test_a_job_that_does_not_exist_is_an_error_of_the_tick(self):
        assert "has no job 'absent'" in evaluated(3).error.message

    def test_a_preset_that_does_not_exist_is_an_error_of_the_tick(self):
        assert "no preset 'paris'" in evaluated(4).error.message

    def test_an_unknown_schedule_is_refused(self):
        with pytest.raises(DefinitionNotFoundError, match="has no schedule 'x'; it has 'daily'"):
            questions.evaluate(code(), pb.EvaluateScheduleRequest(repository="team", schedule="x"))
