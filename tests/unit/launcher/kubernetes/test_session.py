"""How requests are sent: patience, credentials and lost answers. The server is a real one, of a few lines."""

import contextlib

import pytest
from aiohttp import web
from dagwire_launcher.kubernetes.api import JOBS, Api
from dagwire_launcher.kubernetes.errors import ApiAwayError, ApiRefusedError
from kubernetes.aio.client.configuration import Configuration

pytestmark = pytest.mark.timeout(20)


class Server:
    """Answers requests by a list, then with success."""

    def __init__(self) -> None:
        self.answers = []
        self.seen = []
        self.tokens = 0
        self.url = ""

    async def handle(self, request):
        self.seen.append((request.method, request.path, request.headers.get("Authorization")))
        if self.answers:
            status, headers, text = self.answers.pop(0)
            if status is None:
                request.transport.abort()
            return web.Response(status=status or 200, headers=headers, text=text)
        return web.json_response({"kind": "Job"})

    async def connect(self):
        self.tokens += 1
        configuration = Configuration(host=self.url)
        configuration.api_key["BearerToken"] = f"Bearer {self.tokens}"
        return configuration

    @contextlib.asynccontextmanager
    async def running(self):
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
async def server():
    async with Server().running() as running:
        yield running


@pytest.fixture
async def api(server):
    async with Api("n", server.connect) as api:
        yield api


async def test_a_server_that_asks_for_patience_is_asked_again(api, server):
    server.answers = [(429, {"Retry-After": "0.01"}, ""), (429, {}, '{"details": {"retryAfterSeconds": 0.01}}')]
    assert await api.create(JOBS, {}) == {"kind": "Job"}
    assert len(server.seen) == 3


async def test_a_credential_that_is_refused_is_read_anew_once(api, server):
    server.answers = [(401, {}, "{}")]
    assert await api.read(JOBS, "x") == {"kind": "Job"}
    assert [token for _, _, token in server.seen] == ["Bearer 1", "Bearer 2"]
    server.answers = [(401, {}, "{}"), (401, {}, '{"message": "Unauthorized"}')]
    with pytest.raises(ApiRefusedError, match="Unauthorized") as caught:
        await api.read(JOBS, "x")
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_what_a_failing_server_did_is_unknown_and_not_asked_for_twice(api, server, status):
    server.answers = [(status, {}, "no JSON")]
    with pytest.raises(ApiRefusedError, match="no JSON") as caught:
        await api.create(JOBS, {})
    assert caught.value.outcome_unknown
    assert len(server.seen) == 1


async def test_what_a_server_that_cuts_the_connection_did_is_unknown(api, server):
    server.answers = [(None, {}, "")]
    with pytest.raises(ApiAwayError) as caught:
        await api.create(JOBS, {})
    assert caught.value.outcome_unknown


async def test_an_answer_that_is_cut_off_is_no_answer(api, server):
    server.answers = [(200, {}, '{"kind": "J')]
    with pytest.raises(ApiAwayError):
        await api.read(JOBS, "x")


async def test_what_is_gone_already_is_none_and_need_not_be_deleted(api, server):
    server.answers = [(404, {}, "{}"), (404, {}, "{}")]
    assert await api.read(JOBS, "x") is None
    await api.delete(JOBS, "x")


async def test_of_a_long_log_the_end_is_kept(api, server):
    server.answers = [(200, {}, "first\n" + "x" * 100_000 + "\nlast\n"), (404, {}, "{}")]
    text = await api.log("pod", "worker", lines=10, size=1000)
    assert len(text) == 1000
    assert text.endswith("\nlast\n")
    assert await api.log("pod", "worker", lines=10, size=1000) == ""
