import pytest
from dagwire_dagit.permissions import Permission, Requires
from fastapi.routing import iter_route_contexts
from starlette.routing import Route
from support.dagit import a_run

PUBLIC = {"/healthz", "/readyz", "/{path:path}"}
"""All that anybody may ask: probes, and the web page's files. Exact, never a prefix."""

CHANGING = {
    ("/api/v1/runs", Permission.LAUNCH),
    ("/api/v1/runs/{run_id}/cancel", Permission.LAUNCH),
    ("/api/v1/schedules/{location}/{repository}/{schedule}/start", Permission.SWITCH),
    ("/api/v1/schedules/{location}/{repository}/{schedule}/stop", Permission.SWITCH),
}
ASKING = {"/api/v1/jobs/{location}/{repository}/{job}/validate", "/api/v1/jobs/{location}/{repository}/{job}/plan"}


def _declared(dependant) -> set[Permission]:
    found = {dependant.call.permission} if isinstance(dependant.call, Requires) else set()
    return found.union(*(_declared(inner) for inner in dependant.dependencies))


def _routes(app):
    return list(iter_route_contexts(app.routes))


def test_every_route_declares_one_permission(dagit):
    routes = _routes(dagit.app)
    assert len(routes) > 20
    for route in routes:
        assert len(_declared(route.dependant)) == 1, route.path


def test_only_probes_and_the_page_are_public(dagit):
    public = {route.path for route in _routes(dagit.app) if Permission.PUBLIC in _declared(route.dependant)}
    assert public == PUBLIC


def test_what_changes_something_is_a_post_with_a_permission_of_its_own(dagit):
    changing = {
        (route.path, *_declared(route.dependant))
        for route in _routes(dagit.app)
        if not route.methods <= {"GET", "HEAD"}
    }
    assert {path for path, permission in changing if permission is Permission.READ} == ASKING
    assert {one for one in changing if one[1] is not Permission.READ} == CHANGING


def test_nothing_is_mounted_beside_the_routes(dagit):
    for route in _routes(dagit.app):
        assert hasattr(route, "dependant"), route
        assert not isinstance(route, Route) or route.dependant


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/info"),
        ("GET", "/api/v1/locations"),
        ("GET", "/api/v1/jobs/weather/weather/report"),
        ("GET", f"/api/v1/runs/{a_run()}/events"),
        ("GET", f"/api/v1/feed?run={a_run()}"),
        ("GET", "/openapi.json"),
        ("POST", "/api/v1/runs"),
        ("POST", f"/api/v1/runs/{a_run()}/cancel"),
        ("POST", "/api/v1/schedules/weather/weather/daily/start"),
    ],
)
async def test_without_its_permission_a_route_answers_403(dagit, method: str, path: str):
    dagit.app.state.grants = lambda _: frozenset({Permission.PUBLIC})
    answer = await dagit.client.request(method, path, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_probes_need_no_permission(dagit):
    dagit.app.state.grants = lambda _: frozenset({Permission.PUBLIC})
    assert (await dagit.client.get("/healthz")).status_code == 200
