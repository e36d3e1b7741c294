import httpx
import pytest
from dagwire_dagit.app import create_app
from support.dagit import a_run

JSON = {"Content-Type": "application/json"}
LAUNCH = b'{"location": "weather", "job": "report"}'


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:3000", "127.0.0.1:3000", "[::1]:3000"])
async def test_dagit_answers_under_its_own_names(dagit, host: str):
    assert (await dagit.client.get("/api/v1/info", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:3000", "", "[::2]"])
@pytest.mark.parametrize("path", ["/api/v1/info", "/", "/openapi.json", "/healthz/x"])
async def test_dagit_does_not_answer_under_another_name(dagit, host: str, path: str):
    answer = await dagit.client.get(path, headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "host_not_allowed")


async def test_probes_are_answered_under_any_name(dagit):
    assert (await dagit.client.get("/healthz", headers={"Host": "10.1.2.3:3000"})).status_code == 200


async def test_names_can_be_allowed(dagit):
    for allowed, host in (("dagit.example", "dagit.example"), ("*", "anything.example")):
        app = create_app(dagit.services, allowed_hosts=[allowed])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}") as client:
            assert (await client.get("/api/v1/info")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_pages_of_others_cannot_launch(dagit, headers: dict[str, str]):
    answer = await dagit.client.post("/api/v1/runs", content=LAUNCH, headers={**JSON, **headers})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")


async def test_pages_of_others_cannot_follow_the_feed(dagit):
    headers = {"Origin": "http://evil.example"}
    assert (await dagit.client.get(f"/api/v1/feed?run={a_run()}", headers=headers)).status_code == 403


async def test_ones_own_page_can_launch(dagit):
    headers = {**JSON, "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert (await dagit.client.post("/api/v1/runs", content=LAUNCH, headers=headers)).status_code == 202


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None, ""])
async def test_only_json_changes_anything(dagit, kind: str | None):
    headers = {} if kind is None else {"Content-Type": kind}
    for path in ("/api/v1/runs", f"/api/v1/runs/{a_run()}/cancel", "/api/v1/schedules/weather/weather/daily/stop"):
        answer = await dagit.client.post(path, content=LAUNCH, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "content_type")


async def test_a_body_that_is_too_large_is_refused_however_it_is_sent(dagit):
    async def chunks():
        for _ in range(20):
            yield b" " * 100_000

    for content in (b" " * 1_000_001, chunks()):
        answer = await dagit.client.post("/api/v1/runs", content=content, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", ["/api/v1/info", "/api/v1/nothing", "/", "/healthz", "/api/v1/runs/x"])
async def test_every_answer_has_the_security_headers(dagit, path: str):
    headers = (await dagit.client.get(path)).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"


async def test_a_refusal_has_the_security_headers_too(dagit):
    assert "Content-Security-Policy" in (await dagit.client.get("/", headers={"Host": "evil.example"})).headers


async def test_answers_of_the_api_are_not_cached(dagit):
    assert (await dagit.client.get("/api/v1/info")).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/v1/runs/..", None),
        ("/api/v1/runs/nonsense", ["path", "run_id"]),
        (f"/api/v1/runs/{a_run().upper()}", ["path", "run_id"]),
        ("/api/v1/runs/%2e%2e%2fetc", None),
        ("/api/v1/jobs/weather/a.b/report", ["path", "repository"]),
        ("/api/v1/jobs/weather/weather/%0d%0a", ["path", "job"]),
        ("/api/v1/schedules/we*ther/weather/daily/ticks", ["path", "location"]),
        (f"/api/v1/runs/{a_run()}/events?after=1", ["query", "after"]),
        (f"/api/v1/runs/{a_run()}/events?after=1-99999999999999999999", ["query", "after"]),
        (f"/api/v1/runs/{a_run()}/events?kind=other", ["query", "kind", "0"]),
        (f"/api/v1/runs/{a_run()}/events?limit=5001", ["query", "limit"]),
        ("/api/v1/runs?limit=0", ["query", "limit"]),
        ("/api/v1/runs?limit=501", ["query", "limit"]),
        ("/api/v1/runs?before=x", ["query", "before"]),
        ("/api/v1/runs?tag=x", ["query", "tag"]),
        ("/api/v1/runs?status=DONE", ["query", "status", "0"]),
        ("/api/v1/feed?run=x", ["query", "run"]),
        ("/api/v1/feed?kind=log", ["query", "kind"]),
        ("/api/v1/feed?after=x", ["query", "after"]),
        ("/api/v1/schedules/weather/weather/daily/preview?count=101", ["query", "count"]),
    ],
)
async def test_identifiers_and_limits_are_checked(dagit, path: str, place: list[str] | None):
    answer = await dagit.client.get(path)
    if place is None:
        assert answer.status_code == 404
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert [detail["path"] for detail in answer.json()["details"]] == [place]


async def test_the_refused_value_is_not_echoed_in_validation_errors(dagit):
    body = b'{"location": "weather", "job": "report", "password": "hunter2"}'
    answer = await dagit.client.post("/api/v1/runs", content=body, headers=JSON)
    assert "hunter2" not in answer.text


async def test_a_failure_says_nothing_of_the_inside(dagit, monkeypatch, caplog):
    async def broken(**_: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(dagit.store, "assets", broken)
    answer = await dagit.client.get("/api/v1/assets")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "Content-Security-Policy" in answer.headers
    assert "request failed" in caplog.text
