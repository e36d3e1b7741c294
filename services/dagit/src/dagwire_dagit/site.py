"""The web page: its built files, with the page itself for every address that is one of its views. Reads files only."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from dagwire_dagit.permissions import Permission, requires

STATIC: Final = Path(__file__).parent / "static"
"""Where the build of ``services/dagit/ui`` puts its files."""

_HASHED: Final = "assets/"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_HOUR: Final = "public, max-age=3600"
_REVALIDATE: Final = "no-cache"

_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Dagit</title>
<h1>The web page is not built</h1>
<p>The API works: <a href="/openapi.json">/openapi.json</a> describes it,
<a href="/api/v1/locations">/api/v1/locations</a> is a beginning.</p>
<p>In a checkout, <code>make ui</code> builds the page; a published package carries it.</p>
</html>
"""


def site_router(directory: Path = STATIC) -> APIRouter:
    """Return the routes of the web page; to be included after all others."""
    router = APIRouter()
    files = StaticFiles(directory=directory, check_dir=False)

    @router.api_route(
        "/{path:path}",
        methods=["GET", "HEAD"],
        include_in_schema=False,
        dependencies=[requires(Permission.PUBLIC)],
    )
    async def get_page(path: str, request: Request) -> Response:
        """Return a file of the web page, or the page for one of its views."""
        if path.startswith("api/") or path == "api":
            raise HTTPException(404, "there is no such route; /openapi.json lists them")
        if not (directory / "index.html").is_file():
            return HTMLResponse(_NOT_BUILT, status_code=503)
        try:
            answer = await files.get_response(path or "index.html", request.scope)
        except HTTPException:
            if not _is_view(path, request):
                raise
            path = "index.html"
            answer = await files.get_response(path, request.scope)
        answer.headers["Cache-Control"] = _caching(path)
        return answer

    return router


def _is_view(path: str, request: Request) -> bool:
    """A view has no file ending, and somebody wants to see it: a missing script must not be answered with a page."""
    return "." not in path.rpartition("/")[2] and "text/html" in request.headers.get("accept", "")


def _caching(path: str) -> str:
    if path.startswith(_HASHED):
        return _FOR_EVER  # its name holds the hash of its content
    return _REVALIDATE if path in {"", "index.html"} else _HOUR
