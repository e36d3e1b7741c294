"""Launchers that are killed, restarted and doubled: each run has one Job and one end."""

import asyncio

import pytest
import yaml
from dagwire_launcher.kubernetes import names
from dagwire_launcher.service import Launcher
from dagwire_shared.ids import run_id_for
from support.kubelaunch import INSTANCE, run_job
from support.launching import launchers, request_run, until_off_queue
from support.launchworld import Fuse, Fused, FusedStreams, policy, running

WAITING = "dagwire.log.written"


async def killed_launcher(stage, fuse):
    """Run a launcher until its fuse has burnt down: it is gone between two effects."""
    backend = Fused(stage.backend(), fuse, ["create", "release"])
    bus = Fused(stage.bus, Fuse(), [], streams=FusedStreams(stage.bus.streams, fuse, ["publish", "remove"]))
    async with running(Launcher(bus, backend, policy(), holder="a")):
        await asyncio.wait_for(fuse.gone.wait(), 60)


@pytest.mark.parametrize("effects", [3, 4, 5], ids=["create", "announce", "remove"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_launcher_that_is_killed_between_two_effects_starts_no_second_job(stage, effects, after):
    run_id = await request_run(stage.bus, "k")
    await killed_launcher(stage, Fuse(effects, after=after))
    async with stage.launcher(name="b"):
        events = await stage.said(run_id)
        await until_off_queue(stage.bus, run_id)
    types = [one.type for one in events]
    assert types.count("dagwire.run.started") == types.count("dagwire.run.launched") == 1
    assert types[-1] == "dagwire.run.succeeded"
    assert len(await asyncio.to_thread(stage.namespace.objects, "jobs", f"dagwire/run-id={run_id}")) == 1


async def test_a_new_launcher_takes_over_what_runs_and_sees_its_end(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "adopted", "waiting")
        await stage.said(run_id, WAITING)
    async with stage.launcher(name="b"):
        await stage.kubectl("delete", "pod", await stage.pod_of(run_id), "--wait=false")
        assert (await stage.said(run_id))[-1].data["cause"] == "worker_deleted"


async def test_an_end_that_no_launcher_saw_is_told_by_the_next_with_its_cause(stage):
    stage.layer["resources"] = {"limits": {"memory": "200Mi"}}
    async with stage.launcher():
        run_id = await request_run(stage.bus, "unseen", "hungry")
        await stage.said(run_id, "dagwire.run.launched")
    await asyncio.to_thread(stage.namespace.wait, "condition=Failed", f"job/{run_job(run_id)}")
    async with stage.launcher(name="b"):
        assert (await stage.said(run_id))[-1].data["cause"] == "out_of_memory"


async def test_something_else_under_the_name_of_a_runs_job_is_left_alone_and_the_run_refused(stage):
    run_id = run_id_for("taken")
    await stage.put_job(run_job(run_id), labels={"app": "another"})
    async with stage.launcher():
        await request_run(stage.bus, "taken")
        end = (await stage.said(run_id))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", "launch_refused")
    assert f"There is a Job {run_job(run_id)}" in end.data["message"]
    assert stage.job(run_id)["metadata"]["labels"] == {"app": "another"}


async def test_only_so_many_finished_jobs_are_kept(stage, monkeypatch):
    monkeypatch.setattr("dagwire_launcher.kubernetes.jobs._TIDY_SECONDS", 0.2)
    async with stage.launcher(keep_runs=1):
        first = await request_run(stage.bus, "first")
        await stage.said(first)
        second = await request_run(stage.bus, "second")
        await stage.said(second)
        await stage.until_no_job(first)
    assert stage.job(second)["metadata"]["labels"][names.RUN_ID] == second


async def test_a_launcher_process_that_is_killed_is_followed_by_one_that_goes_on(stage, addresses, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({"kubernetes": {"default": stage.layer}}))
    settings = {
        "backend": "kubernetes",
        "namespace": stage.namespace.name,
        "instance": INSTANCE,
        "run_config": config,
        "worker_nats_url": addresses.in_cluster,
    }
    async with launchers(addresses.url, tmp_path, **settings) as make:
        first = make()
        waiting = await request_run(stage.bus, "waiting", "waiting")
        await stage.said(waiting, WAITING)
        first.kill()
        second = await request_run(stage.bus, "second")
        first.start()
        assert (await stage.said(second))[-1].type == "dagwire.run.succeeded"
        await stage.kubectl("delete", "pod", await stage.pod_of(waiting), "--wait=false")
        assert (await stage.said(waiting))[-1].data["cause"] == "worker_deleted"
        assert await first.stop() == 0
