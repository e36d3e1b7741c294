"""A launcher whose API server fails it: no second Job, no lost run, no stuck queue."""

import asyncio

import pytest
from support.apiproxy import ApiProxy, answer, answer_after_doing, lose_answer, lose_request
from support.kubelaunch import run_job
from support.launching import request_run, until

WAITING = "dagwire.log.written"
DELAYED = "dagwire.worker.delayed"


@pytest.fixture
async def proxy():
    async with ApiProxy().running() as running:
        yield running


@pytest.fixture
def creating(stage):
    """How a request that creates a Job begins."""
    return f"POST /apis/batch/v1/namespaces/{stage.namespace.name}/jobs"


@pytest.mark.parametrize(
    "fault",
    [
        answer(429, "TooManyRequests", Retry_After="1"),
        answer(500, "InternalError"),
        answer(503, "ServiceUnavailable"),
        answer(401, "Unauthorized"),
        answer(403, "Forbidden", 'jobs.batch is forbidden: User "x" cannot create resource "jobs"'),
        answer(404, "NotFound", 'namespaces "x" not found'),
        lose_request,
        lose_answer,
        answer_after_doing(500),
        answer_after_doing(504),
    ],
    ids=["429", "500", "503", "401", "403", "404", "lost request", "lost answer", "500 but done", "504 but done"],
)
async def test_a_fault_at_the_creation_costs_no_run_and_makes_no_second_job(stage, proxy, creating, fault):
    proxy.fail(creating, fault)
    async with stage.launcher(connect=proxy.connect):
        run_id = await request_run(stage.bus, "fault")
        events = await stage.said(run_id)
    assert events[-1].type == "dagwire.run.succeeded"
    assert [one.type for one in events].count("dagwire.run.started") == 1
    assert len(await asyncio.to_thread(stage.namespace.objects, "jobs", f"dagwire/run-id={run_id}")) == 1


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (answer(422, "Invalid", "Job is invalid: spec.template"), "launch_refused"),
        (answer(403, "Forbidden", 'admission webhook "policy" denied the request: no'), "launch_refused"),
        (answer(403, "Forbidden", 'jobs.batch "x" is forbidden: exceeded quota: small'), "quota_exceeded"),
    ],
)
async def test_a_refusal_loses_the_run_with_the_servers_words(stage, proxy, creating, fault, cause):
    proxy.fail(creating, fault)
    async with stage.launcher(connect=proxy.connect):
        end = (await stage.said(await request_run(stage.bus, "refused")))[-1]
    assert (end.type, end.data["cause"]) == ("dagwire.run.lost", cause)
    assert any(word in end.data["message"] for word in ("spec.template", "denied the request", "exceeded quota"))


async def test_a_missing_right_makes_runs_wait_and_be_told_until_it_is_given(stage, proxy, creating):
    proxy.fail(creating, answer(403, "Forbidden", "User launcher cannot create resource jobs"), times=1000)
    async with stage.launcher(connect=proxy.connect):
        run_id = await request_run(stage.bus, "no right")
        delay = (await stage.said(run_id, DELAYED))[-1]
        assert "cannot create resource jobs" in delay.data["message"]
        proxy.recover()
        assert (await stage.said(run_id))[-1].type == "dagwire.run.succeeded"


async def test_patience_that_is_asked_for_is_kept(stage, proxy, creating):
    proxy.fail(creating, answer(429, "TooManyRequests", Retry_After="2"), times=1)
    async with stage.launcher(connect=proxy.connect):
        await stage.said(await request_run(stage.bus, "patience"), "dagwire.run.launched")
    assert proxy.count(creating) == 2


async def test_a_watch_that_is_cut_misses_nothing(stage, proxy):
    async with stage.launcher(connect=proxy.connect) as backend:
        run_id = await request_run(stage.bus, "cut", "waiting")
        await stage.said(run_id, WAITING)
        proxy.fail("GET ", lose_request, times=10_000)
        proxy.cut()
        await until_trouble(backend)
        await stage.kubectl("delete", "pod", await stage.pod_of(run_id), "--wait=false")
        await stage.until_pod_is_gone(run_id)
        proxy.recover()
        end = (await stage.said(run_id))[-1]
    assert end.data["cause"] == "worker_deleted"


async def test_after_410_gone_all_is_listed_again_and_what_vanished_is_noticed(stage, proxy):
    async with stage.launcher(connect=proxy.connect) as backend:
        run_id = await request_run(stage.bus, "gone", "waiting")
        await stage.said(run_id, WAITING)
        proxy.fail("GET ", lose_request, times=10_000)
        proxy.cut()
        await until_trouble(backend)
        await stage.kubectl("delete", "job", run_job(run_id))
        await stage.until_no_job(run_id)
        proxy.recover()
        for kind in ("jobs", "pods"):
            group = "apis/batch" if kind == "jobs" else "api"
            start = f"GET /{group}/v1/namespaces/{stage.namespace.name}/{kind}?watch=true"
            proxy.fail(start, answer(410, "Expired", "too old resource version"))
        end = (await stage.said(run_id))[-1]
    assert end.data["cause"] == "worker_deleted"
    assert f"Its Job {run_job(run_id)} was deleted." in end.data["message"]


async def test_an_expired_token_is_read_again(stage, proxy):
    async with stage.launcher(connect=proxy.connect):
        await stage.said(await request_run(stage.bus, "first"))
        before = proxy.connections
        proxy.fail("POST ", answer(401, "Unauthorized"))
        assert (await stage.said(await request_run(stage.bus, "second")))[-1].type == "dagwire.run.succeeded"
    assert proxy.connections == before + 1


async def test_a_cluster_that_is_away_at_the_start_is_waited_for(stage, proxy):
    proxy.fail("", lose_request, times=10_000)
    async with stage.launcher(connect=proxy.connect) as backend:
        run_id = await request_run(stage.bus, "early")
        await stage.said(run_id, "dagwire.run.queued")
        assert backend.trouble is not None
        proxy.recover()
        assert (await stage.said(run_id))[-1].type == "dagwire.run.succeeded"
        assert backend.trouble is None


async def until_trouble(backend):
    async def troubled():
        return backend.trouble is not None

    await until(troubled, what="the launcher sees that the cluster is away")
