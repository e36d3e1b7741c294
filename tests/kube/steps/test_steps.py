"""Steps in pods of their own, on a real cluster: each once, with what it asked for, and none left behind."""

import asyncio

from support.kube import Namespace
from support.kubelaunch import Stage
from support.launching import cancel_run, request_run, until


def of(events, word):
    return [one for one in events if one.type == f"dagwire.{word}"]


def step_objects(namespace: Namespace, kind: str, run_id: str):
    selector = f"dagwire/run-id={run_id},app.kubernetes.io/component=step-worker"
    return namespace.objects(kind, selector)


async def until_no_steps(stage: Stage, run_id: str, kind: str = "jobs,pods"):
    async def gone():
        return not await asyncio.to_thread(step_objects, stage.namespace, kind, run_id)

    await until(gone, what=f"no step of {run_id} has {kind}")


async def until_no_living_step(stage: Stage, run_id: str):
    async def gone():
        pods = await asyncio.to_thread(step_objects, stage.namespace, "pods", run_id)
        return all(pod["status"]["phase"] in {"Succeeded", "Failed"} for pod in pods)

    await until(gone, what=f"no step of {run_id} has a living pod")


async def until_it_waits(stage: Stage, run_id: str):
    """Return when the step that waits has begun."""
    events = await stage.said(
        run_id, lambda one: one.data.get("message") == "waiting" or one.type == "dagwire.step.failed"
    )
    assert events[-1].type == "dagwire.log.written", events[-1].data


async def test_each_step_runs_in_a_pod_of_its_own_with_what_its_op_asks_for(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "fan", "fan")
        events = await stage.said(run_id)
        assert events[-1].type == "dagwire.run.succeeded", events[-1].data
        jobs = step_objects(stage.namespace, "jobs", run_id)
        pods = step_objects(stage.namespace, "pods", run_id)
    assert sorted(one["metadata"]["labels"]["dagwire/step"] for one in jobs) == [
        "collect", "part_0", "part_1", "part_2", "start",
    ]  # fmt: skip
    owner = stage.job(run_id)["metadata"]["uid"]
    assert {one["metadata"]["ownerReferences"][0]["uid"] for one in jobs} == {owner}
    assert {one["metadata"]["annotations"]["by"] for one in jobs} == {"executor"}
    small = [pod for pod in pods if pod["metadata"]["labels"].get("size") == "small"]
    assert {pod["spec"]["containers"][0]["resources"]["limits"]["memory"] for pod in small} == {"200Mi"}
    assert len(small) == 3
    lines = [one.data["message"] for one in of(events, "log.written") if one.data["step_key"] == "collect"]
    assert len({line.split()[2] for line in lines}) == 3  # three hosts: the names of their pods
    assert {line.split()[4] for line in lines} == {str(200 * 1024 * 1024)}


async def test_a_step_that_runs_out_of_memory_fails_with_that_cause(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "hungry", "hungry")
        events = await stage.said(run_id)
    (failed,) = of(events, "step.failed")
    assert failed.data["cause"] == "out_of_memory"
    assert "its limit of 120Mi" in failed.data["error"]["message"]
    assert events[-1].data["cause"] == "step_failed"


async def test_a_step_whose_image_is_not_there_is_told_why_it_waits_and_then_fails(stage):
    async with stage.launcher(start=30):
        run_id = await request_run(stage.bus, "unpulled", "unpulled")
        events = await stage.said(run_id)
        await until_no_steps(stage, run_id)
    delayed = [one for one in of(events, "worker.delayed") if one.data["step_key"] == "pulled"]
    assert delayed[-1].data["cause"] == "image_unavailable"
    (failed,) = of(events, "step.failed")
    assert failed.data["cause"] == "image_unavailable"
    assert "did not start within 30 seconds" in failed.data["error"]["message"]


async def test_an_op_that_asks_for_what_it_may_not_have_is_refused_and_told_so(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "refused", "refused")
        events = await stage.said(run_id)
    (failed,) = of(events, "step.failed")
    assert failed.data["cause"] == "launch_refused"
    assert "of the step greedy sets serviceAccountName, which user code may not" in failed.data["error"]["message"]


async def test_outputs_that_no_volume_carries_fail_the_step_that_needs_them(stage):
    del stage.layer["volumes"][1], stage.layer["volumeMounts"][1]
    async with stage.launcher():
        run_id = await request_run(stage.bus, "apart", "fan")
        events = await stage.said(run_id)
    assert {one.data["step_key"] for one in of(events, "step.failed")} == {"part_0", "part_1", "part_2"}
    assert "mount one volume into all of them" in of(events, "step.failed")[0].data["error"]["message"]


async def test_cancel_leaves_no_pod_of_a_step(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "cancel", "waiting")
        await until_it_waits(stage, run_id)
        await cancel_run(stage.bus, run_id)
        events = await stage.said(run_id)
        assert events[-1].type == "dagwire.run.canceled"
        await until_no_living_step(stage, run_id)


async def test_deleting_the_runs_job_leaves_no_job_of_a_step(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "deleted", "waiting")
        await until_it_waits(stage, run_id)
        await stage.kubectl("delete", "job", f"dagwire-run-{run_id}", "--wait=false")
        events = await stage.said(run_id)
        # Kubernetes ends the run's pod and its step's at once: the run is lost, or fails by a step that went first.
        end = (events[-1].type, events[-1].data["cause"])
        assert end in {("dagwire.run.lost", "worker_deleted"), ("dagwire.run.failed", "step_failed")}
        await until_no_steps(stage, run_id)


async def test_deleting_a_finished_runs_job_leaves_no_job_of_a_step(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "finished", "fan")
        assert (await stage.said(run_id))[-1].type == "dagwire.run.succeeded"
    await stage.kubectl("delete", "job", f"dagwire-run-{run_id}")
    await until_no_steps(stage, run_id)


async def test_a_killed_run_worker_leaves_no_pod_of_a_step(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "killed", "waiting")
        await until_it_waits(stage, run_id)
        await stage.kubectl("delete", "pod", await stage.pod_of(run_id), "--grace-period=0", "--force")
        events = await stage.said(run_id)
        assert events[-1].type == "dagwire.run.lost"
        await until_no_living_step(stage, run_id)


async def test_a_step_pod_that_is_deleted_by_hand_fails_its_step(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "by hand", "waiting")
        await until_it_waits(stage, run_id)
        (pod,) = step_objects(stage.namespace, "pods", run_id)
        await stage.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
        events = await stage.said(run_id)
    (failed,) = of(events, "step.failed")
    assert failed.data["cause"] == "worker_deleted", failed.data


async def test_a_launcher_that_goes_in_the_middle_is_followed_by_one_that_runs_no_step_twice(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "handed over", "waiting")
        await stage.said(run_id, "dagwire.step_worker.requested")
    # Gone as it carries the order out; the next one does not know what it did.
    async with stage.launcher(name="b"):
        await until_it_waits(stage, run_id)
    async with stage.launcher(name="c"):
        pods = step_objects(stage.namespace, "pods", run_id)
        assert len(pods) == 1
        await stage.kubectl("exec", pods[0]["metadata"]["name"], "--", "touch", f"/var/lib/dagwire/storage/{run_id}.go")
        events = await stage.said(run_id)
        assert events[-1].type == "dagwire.run.succeeded"
    assert len(of(events, "step.started")) == 1
    assert len(step_objects(stage.namespace, "jobs", run_id)) == 1


async def test_steps_of_a_run_that_ended_while_no_launcher_was_there_are_ended(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "alone", "waiting")
        await until_it_waits(stage, run_id)
    await stage.kubectl("delete", "pod", await stage.pod_of(run_id), "--grace-period=0", "--force")
    async with stage.launcher(name="b"):
        events = await stage.said(run_id)
        assert events[-1].type == "dagwire.run.lost"
        await until_no_living_step(stage, run_id)
