"""The Job that a worker becomes, against golden files. UPDATE_GOLDEN=1 writes them; look at the difference then."""

import json
import os
from pathlib import Path

import pytest
import yaml
from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.kubernetes.layers import RunConfig
from dagwire_launcher.kubernetes.manifest import job_manifest, run_worker
from dagwire_shared.commands import RunCode
from dagwire_shared.ids import run_id_for
from dagwire_shared.records import CodePointer
from kubernetes.aio.client.models.v1_job import V1Job

GOLDEN = Path(__file__).parents[3] / "golden" / "jobs"
RUN = run_id_for("sample")
POINTER = CodePointer(python_file="repo.py", working_directory="/app", executable="/usr/local/bin/python")

OPERATOR = {
    "default": {
        "imagePullSecrets": ["registry"],
        "env": [{"name": "REGION", "value": "north"}],
        "envSecrets": ["common"],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "labels": {"team": "platform"},
        "tolerations": [{"key": "runs", "operator": "Exists"}],
    },
    "locations": {
        "weather": {
            "serviceAccountName": "weather",
            "envConfigMaps": [{"name": "weather"}],
            "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
            "volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
        }
    },
    "allow": "*",
}
CODE_LOCATION = {"k8s": {"env": [{"name": "REGION", "value": "south"}, {"name": "LEVEL", "value": "3"}]}}
JOB = {
    "resources": {"limits": {"memory": "2Gi"}},
    "node_selector": {"disk": "fast"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "annotations": {"owner": "ada"},
    "sidecar_containers": [{"name": "proxy", "image": "proxy:1"}],
    "init_containers": [{"name": "fetch", "image": "fetch:1"}],
    "active_deadline_seconds": 3600,
    "container_config": {"stdin": True, "resources": {"limits": {"nvidia.com/gpu": 1}}},
    "pod_spec_config": {"dns_policy": "None", "dns_config": {"nameservers": ["10.0.0.10"]}},
    "pod_template_spec_metadata": {"labels": {"mesh": "on"}},
    "job_metadata": {"annotations": {"queue": "slow"}},
    "job_spec_config": {"suspend": True},
}


def build(*, operator=None, context=None, config=None, image="example/weather:1.2.0", message=b"{}"):
    code = RunCode(pointer=POINTER, image=image, container_context=context or {}, container_config=config or {})
    order = WorkerOrder(run_id=RUN, job="weather report", location="weather", message=message, code=code)
    merged = RunConfig(operator or {}).of(order)
    credential = {
        "DAGWIRE_WORKER_NATS_URL": f"nats://{RUN}:token@nats:4222",
        "DAGWIRE_WORKER_INBOX_PREFIX": f"_INBOX_{RUN}",
    }
    worker = run_worker(order, merged, credential=credential, instance="acme", ttl_seconds=604_800)
    return job_manifest(worker, merged)


CASES = {
    "plain": {},
    "all_layers": {"operator": OPERATOR, "context": CODE_LOCATION, "config": JOB},
    "own_storage": {
        "operator": {
            "default": {
                "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}],
                "volumeMounts": [{"name": "data", "mountPath": "/var/lib/dagwire"}],
                "env": [{"name": "DAGWIRE_WORKER_SPOOL_DIRECTORY", "value": "/var/lib/dagwire"}],
                "securityContext": {"readOnlyRootFilesystem": True},
                "podSecurityContext": {"runAsUser": 1000},
            }
        }
    },
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_job_is_the_golden_file(case):
    golden = GOLDEN / f"{case}.yaml"
    built = build(**CASES[case])
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(json.loads(json.dumps(built)), sort_keys=False, width=120))
    assert json.loads(json.dumps(built)) == yaml.safe_load(golden.read_text())


@pytest.mark.parametrize("case", sorted(CASES))
def test_kubernetes_own_types_take_the_job(case):
    assert V1Job.model_validate(build(**CASES[case]))


def container(job):
    return job["spec"]["template"]["spec"]["containers"][0]


def variables(job):
    return {one["name"]: one.get("value") for one in container(job)["env"]}


def test_a_layer_may_name_another_image():
    assert container(build(operator={"default": {"image": "other:1"}}))["image"] == "other:1"


def test_a_run_whose_image_nobody_knows_is_refused_and_told_where_to_say_it():
    with pytest.raises(LaunchRefusedError, match=r"weather.*DAGWIRE_CURRENT_IMAGE.*or image in a layer"):
        build(image=None)


def test_no_layer_takes_away_what_the_launcher_relies_on():
    job = build(
        operator={
            "default": {
                "labels": {"dagwire/run-id": "another", "app.kubernetes.io/instance": "another"},
                "containerConfig": {"env": [{"name": "DAGWIRE_WORKER_SIGNALS", "value": "cancel"}]},
            }
        }
    )
    assert job["metadata"]["labels"]["dagwire/run-id"] == RUN
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/instance"] == "acme"
    assert variables(job)["DAGWIRE_WORKER_SIGNALS"] == "interrupt"
    assert [one["name"] for one in container(job)["env"]].count("DAGWIRE_WORKER_SIGNALS") == 1


def test_a_pod_that_ended_is_never_replaced():
    spec = build(**CASES["all_layers"])["spec"]
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (0, "Failed")
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
