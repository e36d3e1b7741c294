"""Runs in pods of a real cluster: that they end well, what their pods are like, and what they leave."""

import asyncio
import json
import random

from dagwire_shared.ids import run_id_for
from support.kubelaunch import RESTRICTED, run_job
from support.launching import request_run, serve

SUCCEEDED = "dagwire.run.succeeded"


async def test_a_run_is_a_job_that_succeeds_and_stays_for_inspection(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "k")
        events = await stage.said(run_id)
    types = [one.type for one in events]
    assert types[:3] == ["dagwire.run.queued", "dagwire.run.launched", "dagwire.run.started"]
    assert types[-1] == SUCCEEDED
    assert events[1].data == {"backend": "kubernetes", "worker": f"dagwire-run-{run_id}"}
    await asyncio.to_thread(stage.namespace.wait, "condition=Complete", f"job/dagwire-run-{run_id}")
    labels = stage.job(run_id)["metadata"]["labels"]
    assert labels["dagwire/run-id"] == run_id
    assert labels["dagwire/job"] == "one_op"


async def test_a_pod_is_like_its_code_location_and_its_job_say(stage):
    context = {"k8s": {"env": [{"name": "GREETING", "value": "from the location"}]}}
    configs = {"__repository__": {"one_op": {"annotations": {"owner": "ada"}, "resources": {"limits": {"cpu": 1}}}}}
    await serve(stage.bus, stage.place.model_copy(update={"container_context": context, "container_configs": configs}))
    async with stage.launcher():
        run_id = await request_run(stage.bus, "k")
        assert (await stage.said(run_id))[-1].type == SUCCEEDED
    pod = json.loads(await stage.kubectl("get", "pod", await stage.pod_of(run_id), "-o", "json"))
    container = pod["spec"]["containers"][0]
    assert {"name": "GREETING", "value": "from the location"} in container["env"]
    assert container["resources"]["limits"] == {"cpu": "1"}
    assert pod["metadata"]["annotations"]["owner"] == "ada"


async def test_a_job_that_asks_for_what_user_code_may_not_have_is_refused_and_makes_no_pod(stage):
    configs = {"__repository__": {"one_op": {"serviceAccountName": "admin"}}}
    await serve(stage.bus, stage.place.model_copy(update={"container_configs": configs}))
    async with stage.launcher():
        end = (await stage.said(await request_run(stage.bus, "k")))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "launch_refused")
    assert "of the job sets serviceAccountName, which user code may not" in end.data["message"]
    assert stage.namespace.objects("jobs", f"dagwire/run-id={run_id_for('k')}") == []


async def test_a_request_as_large_as_any_reaches_its_worker(stage):
    noise = random.Random(7).randbytes(120_000).hex()
    async with stage.launcher():
        run_id = await request_run(stage.bus, "large", run_config={"ops": {"nobody": {"config": noise}}})
        events = await stage.said(run_id)
    assert "dagwire.run.started" in [one.type for one in events]
    assert events[-1].data["cause"] == "run_error"
    assert "nobody" in events[-1].data["message"]


async def test_a_sidecar_ends_with_its_worker(stage):
    stage.layer["sidecarContainers"] = [
        {"name": "beside", "image": "busybox:1.35", "command": ["sleep", "600"], "securityContext": RESTRICTED}
    ]
    async with stage.launcher():
        run_id = await request_run(stage.bus, "k")
        assert (await stage.said(run_id))[-1].type == SUCCEEDED
    await asyncio.to_thread(stage.namespace.wait, "condition=Complete", f"job/{run_job(run_id)}", seconds=30)
