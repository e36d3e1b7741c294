"""A real cluster as its user has it: kubectl and helm, namespaces of a test's own, and port-forwards."""

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

IMAGE_TAG = os.environ.get("TAG", "0.1.0")
"""The tag of the images under test; ``make images`` makes them, and they are loaded into the cluster beforehand."""

COMMAND_SECONDS = 120.0
FORWARD_SECONDS = 20.0
_FORWARDED = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


class CommandFailedError(AssertionError):
    """A command ended with another code than 0; the message holds what it wrote."""


def run(command: Sequence[str], *, input_text: str | None = None, seconds: float = COMMAND_SECONDS) -> str:
    """Run a command and return what it wrote to standard output."""
    done = subprocess.run(command, input=input_text, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode != 0:
        words = " ".join(command)
        raise CommandFailedError(f"{words}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def missing() -> str | None:
    """What the tests need and lack, as a sentence; None: nothing."""
    if not os.environ.get("KUBECONFIG"):
        return "the tests of tests/kube need a cluster: set KUBECONFIG (docs/how-to/install-with-helm.md says how)"
    if shutil.which("kubectl") is None:
        return "the tests of tests/kube need the command kubectl on PATH"
    return None


class Namespace:
    """A namespace, and what a user can do in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def kubectl(self, *words: str, input_text: str | None = None, seconds: float = COMMAND_SECONDS) -> str:
        """Run kubectl in the namespace."""
        return run(["kubectl", "--namespace", self.name, *words], input_text=input_text, seconds=seconds)

    def helm(self, *words: str, input_text: str | None = None, seconds: float = 300.0) -> str:
        """Run helm, as the package helm-binary brings it, in the namespace."""
        helm = str(Path(sys.executable).parent / "helm")
        return run([helm, "--namespace", self.name, *words], input_text=input_text, seconds=seconds)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return one object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def objects(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind whose labels match: ``component=dagit,app.kubernetes.io/name=dagwire``."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or change objects."""
        content = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", input_text=json.dumps(content))

    def wait(self, condition: str, what: str, *more: str, seconds: float = 60.0) -> None:
        """Wait until objects meet a condition, as kubectl words it: ``condition=Complete``, ``delete``."""
        words = ["wait", f"--for={condition}", what, *more, f"--timeout={seconds:.0f}s"]
        self.kubectl(*words, seconds=seconds + 10)

    @contextlib.contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """Forward a free local port to ``port`` of a pod or service while the context is open; yield the local one."""
        words = ["kubectl", "--namespace", self.name, "port-forward", target, f":{port}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                yield _local_port(process)
            finally:
                process.terminate()


def _local_port(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    said = []
    deadline = time.monotonic() + FORWARD_SECONDS
    for line in process.stdout:
        said.append(line)
        if (match := _FORWARDED.search(line)) is not None:
            return int(match.group(1))
        if time.monotonic() > deadline:
            break
    raise CommandFailedError(f"kubectl port-forward forwards nothing: {''.join(said)}")


@contextlib.contextmanager
def new_namespace(prefix: str = "dagwire-test", *, restricted: bool = True) -> Iterator[Namespace]:
    """Make a namespace while the context is open; ``restricted``: Pod Security refuses what that profile forbids."""
    name = f"{prefix}-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"} if restricted else {}
    content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    run(["kubectl", "create", "-f", "-"], input_text=json.dumps(content))
    namespace = Namespace(name)
    try:
        # Pods need the account, and a controller makes it after the namespace.
        namespace.wait("create", "serviceaccount/default", seconds=30)
        yield namespace
    finally:
        run(["kubectl", "delete", "namespace", name, "--wait=false"])
