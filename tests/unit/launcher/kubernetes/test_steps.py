"""The Job that the worker of a step becomes, against golden files. UPDATE_GOLDEN=1 writes them; look at them then."""

import json
import os
from pathlib import Path

import pytest
import yaml
from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.command import launch_environment, unpack_launch
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.kubernetes.layers import RunConfig
from dagwire_launcher.kubernetes.manifest import Owner, job_manifest, step_worker
from dagwire_launcher.stepname import StepName
from dagwire_launcher.workerorder import order_again
from dagwire_shared.commands import LaunchRun, RunCode
from dagwire_shared.envelope import encode
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.ids import run_id_for
from dagwire_shared.records import CodePointer
from kubernetes.aio.client.models.v1_job import V1Job
from support.samples import AT, REQUEST

GOLDEN = Path(__file__).parents[3] / "golden" / "jobs"
RUN = run_id_for("sample")
STEP = StepName(RUN, "stats.mean", 1)
CODE = RunCode(
    image="example/weather:1.2.0",
    pointer=CodePointer(python_file="repo.py", working_directory="/app", executable="/usr/local/bin/python"),
    container_context={"k8s": {"env": [{"name": "REGION", "value": "south"}]}},
    container_config={"resources": {"limits": {"memory": "1Gi"}}, "labels": {"team": "climate"}},
)
EXECUTOR = {"labels": {"by": "executor"}, "resources": {"requests": {"cpu": "200m"}}}
OP = {"resources": {"limits": {"memory": "8Gi"}}, "node_selector": {"disk": "fast"}}


def a_message(code: RunCode | None = CODE) -> bytes:
    launch = LaunchRun(run_id=RUN, request=REQUEST, code=code)
    return encode(launch, id=f"{RUN}:launch", source="/test", subject=RUN, time=AT)


def order() -> WorkerOrder:
    return order_again(a_message())


def build(layers=(), *, allow=None, step=STEP):
    run = order()
    config = RunConfig({} if allow is None else {"allow": allow}).of_step(run, step.step_key, layers)
    credential = {"DAGWIRE_WORKER_NATS_URL": f"nats://{RUN}:token@nats:4222"}
    worker = step_worker(run, step, config, credential=credential, instance="acme", ttl_seconds=604_800)
    return job_manifest(worker, config, owner=Owner(f"dagwire-run-{RUN}", "4711-uid"))


CASES = {"step": {}, "step_layers": {"layers": (EXECUTOR, OP)}}


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_job_of_a_step_is_the_golden_file(case):
    golden = GOLDEN / f"{case}.yaml"
    built = build(**CASES[case])
    for variable in built["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "DAGWIRE_WORKER_LAUNCH":
            variable["value"] = "…"  # how it is compressed depends on the library's version
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(built, sort_keys=False, width=120, allow_unicode=True))
    assert json.loads(json.dumps(built)) == yaml.safe_load(golden.read_text())


@pytest.mark.parametrize("case", sorted(CASES))
def test_kubernetes_own_types_take_it(case):
    assert V1Job.model_validate(build(**CASES[case]))


def test_the_job_belongs_to_that_of_its_run_and_is_told_from_it():
    metadata = build()["metadata"]
    assert metadata["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": f"dagwire-run-{RUN}", "uid": "4711-uid"}
    ]
    assert metadata["labels"]["app.kubernetes.io/component"] == "step-worker"
    assert metadata["labels"]["dagwire/step"] == "stats.mean"
    assert metadata["labels"]["dagwire/run-id"] == RUN


def test_what_an_op_may_not_set_is_refused_by_the_name_of_its_step():
    with pytest.raises(LaunchRefusedError, match=r"of the step stats.mean sets volumes, which user code"):
        build(({"volumes": [{"name": "x", "emptyDir": {}}]},))
    assert build(({"volumes": [{"name": "x", "emptyDir": {}}]},), allow="*")


def test_what_an_op_says_wrong_is_told_with_its_place():
    with pytest.raises(LaunchRefusedError, match=r"(?s)step stats.mean is not valid.*there is no such field"):
        build(({"memory": "1Gi"},))


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_launch_message_comes_back_out_of_the_environment(size):
    message = os.urandom(size)
    assert unpack_launch({**launch_environment(message), "OTHER": "x"}) == message


@pytest.mark.parametrize("environment", [{}, {"DAGWIRE_WORKER_LAUNCH": "%"}, {"DAGWIRE_WORKER_LAUNCH": "YWJj"}])
def test_an_environment_without_a_launch_message_is_told(environment):
    with pytest.raises(MalformedMessageError, match="DAGWIRE_WORKER_LAUNCH cannot be unpacked"):
        unpack_launch(environment)


@pytest.mark.parametrize("message", [a_message(None), b"{", encode(REQUEST, id="x", source="/t", subject=RUN, time=AT)])
def test_a_run_of_which_the_code_is_not_known_gets_no_step_workers(message):
    with pytest.raises(LaunchRefusedError):
        order_again(message)
