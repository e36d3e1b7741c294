"""For each test a namespace of its own, with steps' code and a volume that they share."""

import copy
import textwrap

import pytest
from dagwire_shared.jetstream import JetStreamBus
from support import kubelaunch
from support.kube import Namespace
from support.kubelaunch import LAYER, Addresses, Stage
from support.launching import serve

CODE = """
import os, time
from dagwire import job, kubernetes_executor, op

@op
def start(context):
    return context.step_key

@op(tags={"dagwire/kubernetes": {
    "resources": {"requests": {"cpu": "20m"}, "limits": {"memory": "200Mi"}}, "labels": {"size": "small"}}})
def part(name: str):
    with open("/sys/fs/cgroup/memory/memory.limit_in_bytes") as file:
        return name, os.uname().nodename, int(file.read())

@op
def collect(context, parts: list):
    for name, host, limit in parts:
        context.log.info("%s on %s with %s", name, host, limit)

@job(executor_def=kubernetes_executor.configured({"step_k8s_config": {"annotations": {"by": "executor"}}}))
def fan():
    first = start()
    collect([part.alias(f"part_{number}")(first) for number in range(3)])

@op
def wait_for_file(context):
    print("waiting", flush=True)
    while not os.path.exists(f"/var/lib/dagwire/storage/{context.run_id}.go"):
        time.sleep(0.05)

@job(executor_def=kubernetes_executor)
def waiting():
    wait_for_file()

@op(tags={"dagwire/kubernetes": {"resources": {"limits": {"memory": "120Mi"}}}})
def eat():
    kept = []
    while True:
        kept.append(bytearray(8 * 1024 * 1024))

@job(executor_def=kubernetes_executor)
def hungry():
    eat()

@op(tags={"dagwire/kubernetes": {"image": "example/not-there:1"}})
def pulled():
    return 1

@job(executor_def=kubernetes_executor)
def unpulled():
    pulled()

@op(tags={"dagwire/kubernetes": {"serviceAccountName": "admin"}})
def greedy():
    return 1

@job(executor_def=kubernetes_executor)
def refused():
    greedy()
"""

STORAGE = "/var/lib/dagwire/storage"
SHARED_LAYER = {
    **LAYER,
    "volumes": [*LAYER["volumes"], {"name": "outputs", "persistentVolumeClaim": {"claimName": "outputs"}}],
    "volumeMounts": [*LAYER["volumeMounts"], {"name": "outputs", "mountPath": STORAGE}],
}


@pytest.fixture
async def stage(bus: JetStreamBus, namespace: Namespace, addresses: Addresses) -> Stage:
    """A namespace with the code above and a volume that all pods mount."""
    place = kubelaunch.location(namespace)
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "code"},
            "data": {"repo.py": textwrap.dedent(CODE)},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "outputs"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
        },
    )
    await serve(bus, place)
    return Stage(bus, namespace, addresses, place, layer=copy.deepcopy(SHARED_LAYER))
