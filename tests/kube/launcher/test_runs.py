"""Runs in pods of a real cluster: that they end well, and what they leave."""

import asyncio

from support.launching import request_run


async def test_a_run_is_a_job_that_succeeds_and_stays_for_inspection(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "k")
        events = await stage.said(run_id)
    types = [one.type for one in events]
    assert types[:3] == ["dagwire.run.queued", "dagwire.run.launched", "dagwire.run.started"]
    assert types[-1] == "dagwire.run.succeeded"
    assert events[1].data == {"backend": "kubernetes", "worker": f"dagwire-run-{run_id}"}
    await asyncio.to_thread(stage.namespace.wait, "condition=Complete", f"job/dagwire-run-{run_id}")
    labels = stage.job(run_id)["metadata"]["labels"]
    assert labels["dagwire/run-id"] == run_id
    assert labels["dagwire/job"] == "one_op"
