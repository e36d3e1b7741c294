"""A release that is changed, rolled back and killed while people launch runs: nothing is lost, nothing runs twice."""

import threading
from collections import Counter
from typing import Self

import pytest
from support.release import EXAMPLE, Release

pytestmark = pytest.mark.xdist_group("release")

TWO_OF_EACH = {
    **EXAMPLE,
    "dagit": {"replicaCount": 2},
    "scheduler": {"replicaCount": 2},
    "launcher": {"replicaCount": 2},
    "eventstore": {"replicaCount": 2},
}


@pytest.fixture(scope="module")
def release(module_namespace):
    release = Release(module_namespace)
    release.upgrade(TWO_OF_EACH)
    return release


class Load:
    """Somebody who launches one run after the other until told to stop."""

    def __init__(self, release: Release, word: str) -> None:
        self._release = release
        self._word = word
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._launch)
        self.run_ids: list[str] = []
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _launch(self) -> None:
        try:
            while not self._over.is_set():
                self.run_ids.append(self._release.launch(key=f"{self._word}-{len(self.run_ids)}"))
        except BaseException as error:  # noqa: BLE001 -- raised in the test's own thread
            self.error = error


def assert_each_ran_once(release: Release, run_ids: list[str]) -> None:
    assert len(set(run_ids)) == len(run_ids) > 0
    for run_id in run_ids:
        status, seen = release.follow(run_id)
        assert status == "SUCCESS", seen[-1]
        types = Counter(event["type"] for _, event in seen)
        assert types["dagwire.run.started"] == types["dagwire.run.queued"] == types["dagwire.run.launched"] == 1
        assert len({event["id"] for _, event in seen}) == len(seen)
        assert len(release.namespace.objects("jobs", f"dagwire/run-id={run_id}")) == 1
        assert len(release.namespace.objects("pods", f"dagwire/run-id={run_id}")) == 1


def changed(log_level: str) -> dict[str, object]:
    """Values that replace every pod of every service."""
    return {**TWO_OF_EACH, "common": {"annotations": {"changed": log_level}}}


def test_runs_launched_during_an_upgrade_and_a_rollback_each_run_once(release):
    with Load(release, "upgrade") as load:
        release.upgrade(changed("once"))
    with Load(release, "rollback") as more:
        release.namespace.helm("rollback", release.name, "--wait", "--timeout=180s")
    assert_each_ran_once(release, load.run_ids + more.run_ids)


@pytest.mark.parametrize("component", ["launcher", "eventstore", "scheduler", "nats", "dagit", "postgresql"])
def test_runs_launched_while_all_pods_of_a_component_are_killed_each_run_once(release, component):
    with Load(release, component) as load:
        release.namespace.kubectl("delete", "pods", "-l", f"component={component}", "--grace-period=0", "--force")
        release.namespace.wait("condition=Ready", "pods", "-l", f"component={component}", seconds=120)
    assert_each_ran_once(release, load.run_ids)
