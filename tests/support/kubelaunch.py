"""A stage for the launcher's Kubernetes backend: a bus in the cluster, user code, and what was made of it there."""

import asyncio
import contextlib
import json
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.kubernetes.access import Connect, read_access
from dagwire_launcher.kubernetes.backend import KubernetesBackend, KubernetesSettings
from dagwire_launcher.kubernetes.layers import RunConfig
from dagwire_launcher.kubernetes.names import run_job_name as run_job
from dagwire_launcher.service import Launcher
from dagwire_shared.bus import Bus
from dagwire_shared.envelope import Envelope
from dagwire_shared.ids import RunId
from dagwire_shared.records import CodeLocation, CodePointer
from support.kube import IMAGE_TAG, Namespace
from support.launching import serve, until, until_said
from support.launchworld import policy, running

IMAGE = f"dagwire/user-code:{IMAGE_TAG}"
INSTANCE = "test"
NATS = "nats:2.15.1"

CODE = '''
"""A small repository for tests."""
import os
import time

from dagwire import job, op


@op
def hello():
    return os.environ.get("GREETING", "hello")


@job
def one_op():
    hello()


@op
def wait():
    print("waiting", flush=True)
    time.sleep(600)


@job
def waiting():
    wait()


@op
def ignore_everything():
    print("waiting", flush=True)
    while True:
        try:
            while True:
                time.sleep(0.05)
        except BaseException:
            pass


@job
def stubborn():
    ignore_everything()


@op
def eat():
    kept = []
    while True:
        kept.append(bytearray(8 * 1024 * 1024))


@job
def hungry():
    eat()


@op
def leave():
    print("last words", flush=True)
    time.sleep(0.5)  # what is written is passed on by a thread
    os._exit(3)


@job
def leaving():
    leave()
'''

RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@contextlib.contextmanager
def bus_in(namespace: Namespace) -> Iterator["Addresses"]:
    """Run a NATS server in the cluster while the context is open."""
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "nats", "labels": {"app": "nats"}},
            "spec": {
                "enableServiceLinks": False,
                "volumes": [{"name": "data", "emptyDir": {}}],
                "containers": [
                    {
                        "name": "nats",
                        "image": NATS,
                        "args": ["-js", "-sd", "/data", "-p", "4222", "-m", "8222"],
                        "securityContext": RESTRICTED,
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8222}, "periodSeconds": 1},
                    }
                ],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "nats"},
            "spec": {"selector": {"app": "nats"}, "ports": [{"port": 4222}]},
        },
    )
    namespace.wait("condition=Ready", "pod/nats")
    with namespace.forwarded("pod/nats", 4222) as port:
        yield Addresses(f"nats://127.0.0.1:{port}", f"nats://nats.{namespace.name}.svc:4222")


@dataclass(frozen=True, slots=True)
class Addresses:
    """A bus, as tests and as pods reach it."""

    url: str
    in_cluster: str


def location(namespace: Namespace, *, name: str = "here", image: str = IMAGE, code: str = CODE) -> CodeLocation:
    """A code location whose code is mounted into its pods from a ConfigMap, as ``layer`` says."""
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "code"},
            "data": {"repo.py": textwrap.dedent(code)},
        }
    )
    pointer = CodePointer(python_file="/code/repo.py", working_directory="/code", executable="python")
    return CodeLocation(name=name, image=image, definitions_hash="abc", pointer=pointer)


LAYER: dict[str, Any] = {
    "volumes": [{"name": "code", "configMap": {"name": "code"}}],
    "volumeMounts": [{"name": "code", "mountPath": "/code"}],
    "terminationGracePeriodSeconds": 10,
}
"""What the operator says of each pod: where the code is."""


@dataclass(slots=True)
class Stage:
    """One namespace with its launchers."""

    bus: Bus
    namespace: Namespace
    addresses: Addresses
    place: CodeLocation
    layer: dict[str, Any] = field(default_factory=lambda: dict(LAYER))

    def backend(self, *, connect: Connect = read_access, keep_runs: int = 100) -> KubernetesBackend:
        """A launcher's view of the namespace."""
        return KubernetesBackend(
            KubernetesSettings(
                namespace=self.namespace.name,
                instance=INSTANCE,
                run_config=RunConfig({"default": self.layer}),
                credentials=WorkerCredentials(None, self.addresses.in_cluster),
                keep_runs=keep_runs,
                keep_for=timedelta(days=1),
            ),
            connect=connect,
        )

    @contextlib.asynccontextmanager
    async def launcher(
        self, *, name: str = "a", connect: Connect = read_access, keep_runs: int = 100, **limits: float
    ) -> AsyncIterator[KubernetesBackend]:
        """Run a launcher while the context is open; ``limits`` in seconds."""
        backend = self.backend(connect=connect, keep_runs=keep_runs)
        async with running(Launcher(self.bus, backend, policy(**limits), holder=name)):
            yield backend

    async def said(self, run_id: RunId, wanted: Callable[[Envelope], bool] | str | None = None) -> list[Envelope]:
        """What was said of a run up to the wanted event, by default its first end."""
        return await until_said(self.bus, run_id, wanted)

    async def serve(self, **changes: str) -> None:
        """Change how the code is found: ``executable``, ``python_file``."""
        pointer = self.place.pointer.model_copy(update=changes)
        await serve(self.bus, self.place.model_copy(update={"pointer": pointer}))

    async def quota(self, **hard: str) -> None:
        """Limit what the namespace may hold."""
        content = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": hard}}
        await asyncio.to_thread(self.namespace.apply, content)
        await asyncio.to_thread(self.namespace.wait, "jsonpath={.status.hard}", "quota/full")

    async def evict(self, pod: str) -> None:
        """Evict a pod as a drain does."""
        content = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace.name},
        }
        path = f"/api/v1/namespaces/{self.namespace.name}/pods/{pod}/eviction"
        await asyncio.to_thread(
            self.namespace.kubectl, "create", "--raw", path, "-f", "-", input_text=json.dumps(content)
        )

    @contextlib.contextmanager
    def one_slot(self) -> Iterator[str]:
        """Give one node of the cluster a single piece of a made-up resource, and make a class of important pods."""
        slot = f"dagwire.test/{self.namespace.name}"
        nodes = json.loads(self.namespace.kubectl("get", "nodes", "-o", "json"))["items"]
        node = next(one["metadata"]["name"] for one in nodes if "taints" not in one["spec"])
        importance = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000}
        self._patch_node(node, "add", slot)
        self.namespace.apply({**importance, "metadata": {"name": self.namespace.name}})
        try:
            yield slot
        finally:
            self._patch_node(node, "remove", slot)
            self.namespace.kubectl("delete", "priorityclass", self.namespace.name)

    def _patch_node(self, node: str, change: str, slot: str) -> None:
        path = f"/status/capacity/{slot.replace('/', '~1')}"
        patch = [{"op": change, "path": path, **({"value": "1"} if change == "add" else {})}]
        self.namespace.kubectl("patch", "node", node, "--subresource=status", "--type=json", "-p", json.dumps(patch))

    async def put_important_pod(self, limits: dict[str, str]) -> None:
        """Create a pod for which others have to make room."""
        container = {
            "name": "important",
            "image": "busybox:1.35",
            "command": ["sleep", "600"],
            "resources": {"limits": limits},
            "securityContext": RESTRICTED,
        }
        spec = {"priorityClassName": self.namespace.name, "terminationGracePeriodSeconds": 0, "containers": [container]}
        content = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "important"}, "spec": spec}
        await asyncio.to_thread(self.namespace.apply, content)

    @contextlib.contextmanager
    def silent_node(self) -> Iterator[str]:
        """Add a node of which nothing is ever heard."""
        name = f"silent-{self.namespace.name}"
        self.namespace.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        try:
            yield name
        finally:
            self.namespace.kubectl("delete", "node", name)

    async def kubectl(self, *words: str) -> str:
        """Run kubectl in the namespace."""
        return await asyncio.to_thread(self.namespace.kubectl, *words)

    def job(self, run_id: RunId) -> dict[str, Any]:
        """The run's Job."""
        return self.namespace.get("job", run_job(run_id))

    async def pod_of(self, run_id: RunId) -> str:
        """The name of the run's pod, as soon as there is one."""
        found: list[str] = []

        async def there() -> bool:
            selector = f"batch.kubernetes.io/job-name={run_job(run_id)}"
            pods = await asyncio.to_thread(self.namespace.objects, "pods", selector)
            found[:] = [pod["metadata"]["name"] for pod in pods]
            return bool(found)

        await until(there, what=f"{run_id} has a pod")
        return found[0]

    async def put_job(self, name: str, *, labels: dict[str, str]) -> None:
        """Create a Job that does nothing, as somebody else may."""
        container = {"name": "other", "image": "busybox:1.35", "command": ["true"], "securityContext": RESTRICTED}
        content = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": labels},
            "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
        }
        await asyncio.to_thread(self.namespace.apply, content)

    async def until_pod_is_gone(self, run_id: RunId) -> None:
        """Return when the run has no pod."""

        async def gone() -> bool:
            return not await asyncio.to_thread(self.namespace.objects, "pods", f"dagwire/run-id={run_id}")

        await until(gone, what=f"{run_id} has no pod")

    async def until_no_job(self, run_id: RunId) -> None:
        """Return when the run has no Job and no pod."""

        async def gone() -> bool:
            selector = f"dagwire/run-id={run_id}"
            return not await asyncio.to_thread(self.namespace.objects, "jobs,pods", selector)

        await until(gone, what=f"{run_id} has neither Job nor pod")
