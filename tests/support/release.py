"""A release of the chart in a namespace, and its Dagit as somebody outside the cluster reaches it."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml
from support.kube import IMAGE_TAG, CommandFailedError, Namespace
from support.standalone import TERMINAL, messages

CHART = Path(__file__).parents[2] / "deploy/helm/dagwire"
INSTALL_SECONDS = 180.0
EXAMPLE: dict[str, Any] = {
    "image": {"tag": IMAGE_TAG},
    "userDeployments": [
        {
            "name": "weather",
            "image": {"repository": "dagwire/example-weather", "tag": IMAGE_TAG},
            "dagsterApiGrpcArgs": ["-f", "/app/repo.py"],
        }
    ],
}
"""The values of the walk-through: one user-code deployment and nothing else but the tag under test."""

_PASSING = (httpx.TransportError, httpx.HTTPStatusError, CommandFailedError)
"""What happens to a client whose Dagit is being replaced."""

Seen = list[tuple[str, dict[str, Any]]]


class Release:
    """One release."""

    def __init__(self, namespace: Namespace, name: str = "dagwire") -> None:
        self.namespace = namespace
        self.name = name

    def upgrade(self, values: dict[str, Any], *words: str, seconds: float = INSTALL_SECONDS) -> str:
        """Install it, or change it, and wait until it is ready."""
        command = ["upgrade", "--install", self.name, str(CHART), "-f", "-", "--wait", f"--timeout={seconds:.0f}s"]
        try:
            return self.namespace.helm(*command, *words, input_text=yaml.safe_dump(values), seconds=seconds + 30)
        except CommandFailedError as error:
            error.add_note(self.namespace.kubectl("get", "pods", "-o", "wide"))
            error.add_note(self.namespace.kubectl("logs", "-l", "component", "--prefix", "--tail=8"))
            raise

    def pod(self, component: str) -> str:
        """Return a ready pod of a component, found as the walk-through does."""
        labels = f"app.kubernetes.io/name=dagwire,app.kubernetes.io/instance={self.name},component={component}"
        pods = self.namespace.objects("pods", labels)
        ready = [pod["metadata"]["name"] for pod in pods if _is_ready(pod)]
        assert ready, f"no pod of {component} is ready: {[pod['status'] for pod in pods]}"
        return f"pod/{ready[0]}"

    @contextlib.contextmanager
    def dagit(self) -> Iterator[httpx.Client]:
        """Yield a client of Dagit's API, through a port-forward to its Service."""
        with (
            self.namespace.forwarded(f"service/{self.name}-dagit", 80) as port,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
        ):
            yield client

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Ask Dagit, again and again through whichever of its pods lives; the answer's JSON."""
        deadline = time.monotonic() + INSTALL_SECONDS
        while True:
            try:
                with self.dagit() as client:
                    answer = client.request(method, f"/api/v1{path}", **arguments)
                    if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                        answer.raise_for_status()
                        return answer.json()
            except (httpx.TransportError, CommandFailedError):
                pass
            assert time.monotonic() < deadline, f"Dagit does not answer {method} {path}"

    def launch(self, job: str = "weather_report", *, key: str, **more: Any) -> str:
        """Ask for a run until the answer comes, always under the same key; return its id."""
        body = {"location": "weather", "repository": "weather", "job": job, **more}
        run_id: str = self.ask("POST", "/runs", json=body, headers={"Idempotency-Key": key})["run_id"]
        return run_id

    def follow(self, run_id: str) -> tuple[str, Seen]:
        """Return a run's final status and all that its feed sent, over as many connections as it takes."""
        seen: Seen = []
        deadline = time.monotonic() + INSTALL_SECONDS
        while time.monotonic() < deadline:
            headers = {"Last-Event-ID": seen[-1][0]} if seen else {}
            with contextlib.suppress(*_PASSING), self.dagit() as client:
                for cursor, event in _feed(client, run_id, headers):
                    seen.append((cursor, event))
                    if status := TERMINAL.get(event["type"]):
                        return status, seen
        raise AssertionError(f"run {run_id} did not end; its feed sent {[event['type'] for _, event in seen]}")


def _feed(client: httpx.Client, run_id: str, headers: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with client.stream("GET", "/api/v1/feed", params={"run": run_id}, headers=headers) as answer:
        answer.raise_for_status()
        for name, data in messages(answer.iter_lines()):
            if name == "event":
                yield data["cursor"], data["event"]


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
