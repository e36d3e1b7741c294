"""What keeps workers from running in a cluster: told while it is waited for, and the cause if the time is over."""

import pytest
from support.launching import cancel_run, request_run

DELAYED = "dagwire.worker.delayed"


@pytest.mark.parametrize(
    ("layer", "cause", "words"),
    [
        ({"image": "dagwire/no-such-image:1"}, "image_unavailable", "dagwire/no-such-image:1 cannot be pulled"),
        ({"image": "NO IMAGE"}, "image_unavailable", "InvalidImageName"),
        ({"envSecrets": ["no-such-secret"]}, "container_config", 'secret "no-such-secret" not found'),
        (
            {
                "volumes": [{"name": "v", "secret": {"secretName": "missing"}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            },
            "container_config",
            'secret "missing" not found',
        ),
        ({"resources": {"requests": {"cpu": "1000"}}}, "unschedulable", "Insufficient cpu"),
        ({"nodeSelector": {"disk": "none"}}, "unschedulable", "didn't match Pod's node affinity/selector"),
        ({"securityContext": {"allowPrivilegeEscalation": True}}, "launch_refused", 'violates PodSecurity "restricted'),
    ],
)
async def test_what_keeps_a_worker_from_running_is_told(stage, layer, cause, words):
    for field, value in layer.items():
        stage.layer[field] = [*stage.layer.get(field, []), *value] if isinstance(value, list) else value
    async with stage.launcher():
        run_id = await request_run(stage.bus, "delayed")
        delay = (await stage.said(run_id, DELAYED))[-1]
    assert delay.data["cause"] == cause
    assert words in delay.data["message"]


async def test_a_quota_for_pods_delays_a_run_until_there_is_room(stage):
    await stage.quota(pods="0")
    async with stage.launcher():
        run_id = await request_run(stage.bus, "quota")
        delay = (await stage.said(run_id, DELAYED))[-1]
        assert delay.data["cause"] == "quota_exceeded"
        assert "exceeded quota: full" in delay.data["message"]
        await stage.kubectl("delete", "quota", "full")
        assert (await stage.said(run_id))[-1].type == "dagwire.run.succeeded"


async def test_a_run_that_is_canceled_while_something_delays_it_ends_at_once_and_leaves_no_job(stage):
    stage.layer["image"] = "dagwire/no-such-image:1"
    async with stage.launcher(cancel=600):
        run_id = await request_run(stage.bus, "impatient")
        await stage.said(run_id, DELAYED)
        await cancel_run(stage.bus, run_id)
        assert (await stage.said(run_id))[-1].type == "dagwire.run.dropped"
        await stage.until_no_job(run_id)


async def test_a_worker_that_does_not_start_in_time_is_lost_with_what_kept_it_and_leaves_no_job(stage):
    stage.layer["nodeSelector"] = {"disk": "none"}
    async with stage.launcher(start=3):
        run_id = await request_run(stage.bus, "never")
        end = (await stage.said(run_id))[-1]
        assert end.data["cause"] == "unschedulable"
        assert "did not start within 3 seconds" in end.data["message"]
        assert "didn't match Pod's node affinity/selector" in end.data["message"]
        await stage.until_no_job(run_id)
