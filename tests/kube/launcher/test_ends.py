"""How runs end whose worker a cluster takes away: each cause is produced for real."""

import asyncio

from support.kubelaunch import run_job
from support.launching import cancel_run, request_run

STARTED = "dagwire.run.started"
WAITING = "dagwire.log.written"


async def test_a_worker_that_exceeds_its_memory_is_said_to_and_with_which_limit(stage):
    stage.layer["resources"] = {"limits": {"memory": "200Mi"}}
    async with stage.launcher():
        run_id = await request_run(stage.bus, "hungry", "hungry")
        end = (await stage.said(run_id))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "out_of_memory")
    assert "its limit of 200Mi" in end.data["message"]


async def test_a_worker_that_leaves_without_a_word_is_lost_with_its_code_and_last_lines(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "leaving", "leaving")
        end = (await stage.said(run_id))[-1]
    assert end.data["cause"] == "worker_lost"
    assert "exit code 3" in end.data["message"]
    assert "last words" in end.data["output"]


async def test_a_pod_that_is_deleted_by_hand_loses_its_run(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "pod", "waiting")
        await stage.said(run_id, WAITING)
        pod = await stage.pod_of(run_id)
        await stage.kubectl("delete", "pod", pod, "--wait=false")
        end = (await stage.said(run_id))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "worker_deleted")
    assert f"Its pod {pod} was deleted." in end.data["message"]


async def test_a_pod_that_is_deleted_by_force_loses_its_run(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "force", "stubborn")
        await stage.said(run_id, WAITING)
        await stage.kubectl("delete", "pod", await stage.pod_of(run_id), "--grace-period=0", "--force")
        end = (await stage.said(run_id))[-1]
    assert end.data["cause"] == "worker_deleted"


async def test_a_job_that_is_deleted_by_hand_loses_its_run(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "job", "waiting")
        await stage.said(run_id, WAITING)
        await stage.kubectl("delete", "job", run_job(run_id), "--wait=false")
        end = (await stage.said(run_id))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "worker_deleted")
    assert f"Its Job {run_job(run_id)} was deleted." in end.data["message"]


async def test_an_evicted_pod_loses_its_run(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "evicted", "waiting")
        await stage.said(run_id, WAITING)
        await stage.evict(await stage.pod_of(run_id))
        end = (await stage.said(run_id))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "evicted")


async def test_a_preempted_pod_loses_its_run(stage):
    with stage.one_slot() as slot:
        stage.layer["resources"] = {"limits": {slot: "1"}}
        async with stage.launcher():
            run_id = await request_run(stage.bus, "preempted", "waiting")
            await stage.said(run_id, WAITING)
            await stage.put_important_pod({slot: "1"})
            end = (await stage.said(run_id))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "preempted")


async def test_a_node_that_is_lost_loses_its_runs(stage):
    with stage.silent_node() as node:
        stage.layer["podSpecConfig"] = {"nodeName": node}
        async with stage.launcher():
            run_id = await request_run(stage.bus, "lost", "waiting")
            await stage.pod_of(run_id)
            await stage.kubectl("taint", "node", node, "dagwire.test/lost=:NoExecute")
            end = (await stage.said(run_id))[-1]
            assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "node_lost")
            assert node in end.data["message"]


async def test_a_run_that_takes_longer_than_its_deadline_is_lost(stage):
    stage.layer["activeDeadlineSeconds"] = 5
    async with stage.launcher():
        run_id = await request_run(stage.bus, "late", "waiting")
        end = (await stage.said(run_id))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "deadline_exceeded")


async def test_a_run_that_is_canceled_ends_by_itself_and_its_job_stays(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "canceled", "waiting")
        await stage.said(run_id, WAITING)
        await cancel_run(stage.bus, run_id)
        end = (await stage.said(run_id))[-1]
        assert end.type == "dagwire.run.canceled"
        await asyncio.to_thread(stage.namespace.wait, "condition=Complete", f"job/{run_job(run_id)}")


async def test_a_canceled_run_that_goes_on_is_ended_with_its_job(stage):
    async with stage.launcher(cancel=1, stop=1):
        run_id = await request_run(stage.bus, "stubborn", "stubborn")
        await stage.said(run_id, WAITING)
        await cancel_run(stage.bus, run_id)
        end = (await stage.said(run_id))[-1]
        assert (end.type, end.data["forced"]) == ("dagwire.run.dropped", True)
        await stage.until_no_job(run_id)


async def test_a_container_whose_command_is_not_there_is_said_to_be_misconfigured(stage):
    await stage.serve(executable="/no/python")
    async with stage.launcher():
        run_id = await request_run(stage.bus, "no command")
        end = (await stage.said(run_id))[-1]
    assert end.data["cause"] == "container_config"
    assert "/no/python" in end.data["message"]
