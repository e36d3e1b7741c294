import pytest
from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.events import ErrorInfo
from dagwire_shared.locations.state import Status
from support.dagit import a_location

JOB = "/api/v1/jobs/weather/weather/report"


async def test_a_location_shows_what_it_holds(dagit):
    (location,) = (await dagit.client.get("/api/v1/locations")).json()
    assert location == {
        "name": "weather",
        "status": "LOADED",
        "host": "127.0.0.1",
        "port": 4000,
        "image": "example/weather:1",
        "definitions_hash": "0f" * 32,
        "loaded_at": "2026-11-01T12:30:15Z",
        "stale": False,
        "error": None,
        "container_context": {"k8s": {}},
        "repositories": [{"name": "weather", "description": "", "jobs": ["report"], "schedules": ["daily"]}],
    }


async def test_a_broken_location_shows_its_error_and_its_last_good_jobs(dagit):
    error = ErrorInfo(type="ImportError", message="no module named pandas", stack=['File "repo.py", line 1'])
    dagit.locations.change(a_location(status=Status.FAILED, error=error))
    (location,) = (await dagit.client.get("/api/v1/locations")).json()
    assert (location["status"], location["stale"]) == ("FAILED", True)
    assert location["error"]["stack"] == ['File "repo.py", line 1']
    assert [job["name"] for job in (await dagit.client.get("/api/v1/jobs")).json()] == ["report"]


async def test_repositories_and_jobs_are_listed(dagit):
    (repository,) = (await dagit.client.get("/api/v1/repositories")).json()
    assert (repository["location"], repository["name"], repository["jobs"]) == ("weather", "weather", ["report"])
    (job,) = (await dagit.client.get("/api/v1/jobs")).json()
    assert (job["presets"], job["schedules"], job["tags"]) == (["small"], ["daily"], {"team": "climate"})


async def test_a_job_shows_its_graph(dagit):
    job = (await dagit.client.get(JOB)).json()
    load, mean = job["nodes"]
    assert load["config_schema"] == {"type": "object"}
    assert mean["config_schema"] is None
    assert mean["inputs"][0]["upstream"] == [{"node": "load", "output": "result"}]
    assert job["presets"][0]["run_config"] == {"ops": {"load": {"config": {"limit": 10}}}}
    assert (job["executor"], job["default_run_config"]) == ("in_process", {})
    assert job["resources"] == [{"name": "db", "description": "The database.", "config_schema": None}]


async def test_what_pods_shall_be_like_is_shown_by_location_job_and_op(dagit):
    (location,) = (await dagit.client.get("/api/v1/locations")).json()
    job = (await dagit.client.get(JOB)).json()
    assert location["container_context"] == {"k8s": {}}
    assert job["container_config"] == {"nodeSelector": {"disk": "fast"}}
    assert [node["container_config"] for node in job["nodes"]] == [{"resources": {"limits": {"memory": "1Gi"}}}, None]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/jobs/nowhere/weather/report", "location_unknown"),
        ("/api/v1/jobs/weather/other/report", "repository_unknown"),
        ("/api/v1/jobs/weather/weather/other", "job_unknown"),
    ],
)
async def test_what_does_not_exist_is_unknown(dagit, path: str, code: str):
    answer = await dagit.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_validation_returns_each_place_and_the_config_as_the_run_would_get_it(dagit):
    error = pb.ConfigError(path=["ops", "load"], message="unknown op")
    dagit.locations.answer = pb.ValidateRunConfigResponse(errors=[error], run_config_json='{"ops": {}}')
    answer = await dagit.client.post(f"{JOB}/validate", json={"preset": "small", "run_config": {"ops": {"x": 1}}})
    assert answer.json() == {
        "errors": [{"path": ["ops", "load"], "message": "unknown op"}],
        "run_config": {"ops": {}},
    }
    assert dagit.locations.asked[-1]["preset"] == "small"
    assert dagit.locations.asked[-1]["run_config"] == {"ops": {"x": 1}}


async def test_a_plan_is_its_steps(dagit):
    dagit.locations.answer = pb.ExecutionPlan(steps=[pb.Step(key="load"), pb.Step(key="mean", depends_on=["load"])])
    answer = await dagit.client.post(f"{JOB}/plan", json={})
    assert answer.json() == {"steps": [{"key": "load", "depends_on": []}, {"key": "mean", "depends_on": ["load"]}]}


async def test_info_and_readiness(dagit):
    info = (await dagit.client.get("/api/v1/info")).json()
    assert info["epoch"] == dagit.services.hub.epoch
    assert (await dagit.client.get("/readyz")).json() == {"status": "ok", "checks": {"bus": "ok", "database": "ok"}}
    dagit.store.away = True
    answer = await dagit.client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (200, "not readable")
    dagit.bus.broker.online = False
    answer = await dagit.client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["bus"]) == (503, "not connected")
    assert (await dagit.client.get("/healthz")).status_code == 200
