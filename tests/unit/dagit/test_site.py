import httpx
import pytest
from dagwire_dagit.app import create_app

HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
async def site(dagit, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Dagit</title>")
    (tmp_path / "assets" / "index-4f2a.js").write_text("export {}")
    (tmp_path / "favicon.svg").write_text("<svg/>")
    (tmp_path.parent / "secret.txt").write_text("secret")
    app = create_app(dagit.services, static=tmp_path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/runs", "/runs/6f1b4c1e-7d1c-5a51-9a53-0d3c6a1f6b52", "/jobs/a/b/c"]
)
async def test_every_view_is_the_page_and_is_asked_for_again_each_time(site, path: str):
    answer = await site.get(path, headers=HTML)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    assert "<title>Dagit" in answer.text


async def test_files_with_a_hash_in_their_name_are_kept_for_ever(site):
    answer = await site.get("/assets/index-4f2a.js")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "javascript" in answer.headers["Content-Type"]
    assert (await site.get("/favicon.svg")).headers["Cache-Control"] == "public, max-age=3600"


async def test_a_page_that_did_not_change_is_not_sent_again(site):
    tag = (await site.get("/", headers=HTML)).headers["ETag"]
    assert (await site.get("/", headers={**HTML, "If-None-Match": tag})).status_code == 304


@pytest.mark.parametrize("path", ["/assets/index-old.js", "/missing.png", "/api/v1/nothing", "/api"])
async def test_what_is_missing_is_not_answered_with_the_page(site, path: str):
    answer = await site.get(path, headers=HTML)
    assert (answer.status_code, answer.json()["code"]) == (404, "page_unknown")


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/..%5csecret.txt"]
)
async def test_no_path_leads_out_of_the_folder(site, path: str):
    answer = await site.get(path, headers=HTML)
    assert "secret" not in answer.text or answer.headers["Content-Type"].startswith("application/json")
    assert answer.status_code in {200, 404}


async def test_a_page_that_was_not_built_says_how_to_build_it(dagit, tmp_path):
    app = create_app(dagit.services, static=tmp_path / "missing")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        answer = await client.get("/", headers=HTML)
    assert answer.status_code == 503
    assert "make ui" in answer.text


async def test_other_methods_are_not_allowed(site):
    answer = await site.post("/runs", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


async def test_the_page_can_be_asked_for_its_head(site):
    answer = await site.head("/", headers=HTML)
    assert (answer.status_code, answer.content) == (200, b"")
