"""A launcher has the rights that its README lists, and no others; its pods have none."""

import asyncio
import json

from dagwire_launcher.kubernetes.access import read_access
from support.kubelaunch import run_job
from support.launching import cancel_run, request_run

RULES = [
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]},
]


async def test_the_rights_of_its_role_are_all_that_a_launcher_needs(stage):
    connect = await as_launcher(stage)
    stage.layer["resources"] = {"limits": {"memory": "200Mi"}}
    async with stage.launcher(connect=connect, cancel=0, stop=0, keep_runs=0) as backend:
        lost = await request_run(stage.bus, "lost", "leaving")
        assert "last words" in (await stage.said(lost))[-1].data["output"]
        stubborn = await request_run(stage.bus, "stubborn", "stubborn")
        await stage.said(stubborn, "dagwire.log.written")
        await cancel_run(stage.bus, stubborn)
        assert (await stage.said(stubborn))[-1].type == "dagwire.run.dropped"
        await stage.until_no_job(stubborn)
        assert await backend.is_gone(stubborn, run_job(stubborn))
        assert backend.trouble is None


async def test_a_runs_pod_has_no_token_and_no_service_in_its_environment(stage):
    async with stage.launcher():
        run_id = await request_run(stage.bus, "k")
        await stage.said(run_id)
    pod = json.loads(await stage.kubectl("get", "pod", await stage.pod_of(run_id), "-o", "json"))
    mounts = [one["mountPath"] for one in pod["spec"]["containers"][0]["volumeMounts"]]
    assert mounts == ["/var/lib/dagwire", "/tmp", "/code"]
    assert pod["spec"]["enableServiceLinks"] is False


async def as_launcher(stage):
    """Make an account with the launcher's role, and return how a launcher connects as it."""
    name = {"name": "launcher", "namespace": stage.namespace.name}
    api = "rbac.authorization.k8s.io"
    stage.namespace.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": name, "rules": RULES},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "launcher"},
            "subjects": [{"kind": "ServiceAccount", **name}],
        },
    )
    token = (await asyncio.to_thread(stage.namespace.kubectl, "create", "token", "launcher")).strip()

    async def connect():
        configuration = await read_access()
        configuration.cert_file = configuration.key_file = None
        configuration.api_key = {"BearerToken": f"Bearer {token}"}
        return configuration

    return connect
