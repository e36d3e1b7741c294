"""Every call of the API, over the wire, against a real server process."""

import json

import grpc
import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb


@pytest.fixture
async def calls(start, repo):
    server = await start("-f", str(repo), "--library", "polars", env={"DAGWIRE_CURRENT_IMAGE": "team/code:7"})
    return server.calls


def evaluation(day: int, **names: str) -> pb.EvaluateScheduleRequest:
    request = pb.EvaluateScheduleRequest(**{"repository": "team", "schedule": "daily", **names})
    request.scheduled_time.FromJsonString(f"2026-06-{day:02}T06:00:00Z")
    return request


async def refused(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_server_info_tells_pointer_image_versions_and_state(calls, repo):
    info = await calls.GetServerInfo(pb.GetServerInfoRequest())

    assert info.code_pointer.python_file == str(repo)
    assert info.code_pointer.executable
    assert info.image == "team/code:7"
    assert info.dagwire_version == info.library_versions["dagwire"]
    assert info.library_versions["polars"]
    assert len(info.definitions.definitions_hash) == 64


async def test_repositories_are_listed_with_the_hash(calls):
    listed = await calls.ListRepositories(pb.ListRepositoriesRequest())
    info = await calls.GetServerInfo(pb.GetServerInfoRequest())

    assert [one.name for one in listed.repositories] == ["team"]
    assert listed.definitions == info.definitions


async def test_a_repository_holds_jobs_and_schedules_and_the_hash(calls):
    found = await calls.GetRepository(pb.GetRepositoryRequest(repository="team"))
    listed = await calls.ListRepositories(pb.ListRepositoriesRequest())

    assert [job.name for job in found.jobs] == ["weather"]
    assert [schedule.name for schedule in found.schedules] == ["daily"]
    assert found.definitions_hash == listed.definitions.definitions_hash


async def test_an_unknown_repository_is_not_found(calls):
    code, details = await refused(calls.GetRepository(pb.GetRepositoryRequest(repository="x")))

    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "this code location has no repository 'x'; it has 'team'")


async def test_a_job_is_told_alone_as_within_its_repository(calls):
    alone = await calls.GetJob(pb.GetJobRequest(repository="team", job="weather"))
    within = await calls.GetRepository(pb.GetRepositoryRequest(repository="team"))

    assert alone == within.jobs[0]
    assert [node.name for node in alone.nodes] == ["load", "report"]


async def test_an_unknown_job_is_not_found(calls):
    code, details = await refused(calls.GetJob(pb.GetJobRequest(repository="team", job="x")))

    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "repository 'team' has no job 'x'; it has 'weather'")


async def test_a_run_config_is_checked(calls):
    good = pb.ValidateRunConfigRequest(repository="team", job="weather", preset="berlin")
    bad = pb.ValidateRunConfigRequest(repository="team", job="weather", run_config_json='{"ops": {"lod": {}}}')

    answer = await calls.ValidateRunConfig(good)
    faults = (await calls.ValidateRunConfig(bad)).errors

    assert not answer.errors
    assert json.loads(answer.run_config_json)["ops"]["load"]["config"] == {"limit": 10, "station": "berlin"}
    assert {tuple(fault.path) for fault in faults} == {("ops", "lod"), ("ops", "load", "config", "station")} or faults


async def test_a_run_config_that_is_no_json_is_an_invalid_argument(calls):
    request = pb.ValidateRunConfigRequest(repository="team", job="weather", run_config_json="{")

    assert (await refused(calls.ValidateRunConfig(request)))[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_plan_tells_steps_in_order(calls):
    request = pb.GetExecutionPlanRequest(repository="team", job="weather", preset="berlin")
    steps = (await calls.GetExecutionPlan(request)).steps

    assert [(step.key, list(step.depends_on)) for step in steps] == [("load", []), ("report", ["load"])]


async def test_a_plan_of_a_bad_config_is_an_invalid_argument(calls):
    request = pb.GetExecutionPlanRequest(repository="team", job="weather")
    code, details = await refused(calls.GetExecutionPlan(request))

    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "ops.load.config" in details


async def test_a_schedule_is_evaluated_at_its_nominal_time(calls):
    (request,) = (await calls.EvaluateSchedule(evaluation(10))).run_requests

    assert (request.job, request.preset) == ("weather", "berlin")
    assert (await calls.EvaluateSchedule(evaluation(1))).skip_reason == "no paper on the first"


async def test_an_exception_of_a_schedule_is_in_the_answer(calls, repo):
    error = (await calls.EvaluateSchedule(evaluation(2))).error

    assert (error.type, error.message) == ("ValueError", "nothing on the second")
    assert error.stack[-1].startswith(f'File "{repo}", line ')


async def test_an_unknown_schedule_is_not_found(calls):
    assert (await refused(calls.EvaluateSchedule(evaluation(4, schedule="x"))))[0] == grpc.StatusCode.NOT_FOUND


async def test_a_schedule_that_hangs_is_answered_in_time_and_stops_nothing_else(calls):
    hung = await calls.EvaluateSchedule(evaluation(3), timeout=2)
    again = await calls.EvaluateSchedule(evaluation(4), timeout=2)
    job = await calls.GetJob(pb.GetJobRequest(repository="team", job="weather"), timeout=2)

    assert "did not answer within" in hung.error.message
    assert "threading.Event().wait()" in hung.error.stack[-1]
    assert "gets no second one" in again.error.message
    assert job.name == "weather"
