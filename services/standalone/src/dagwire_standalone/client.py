"""What `dagwire up` asks of Dagit's HTTP API: is it ready, what does it serve, one run please."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import httpx
from dagwire_shared.events import RunCanceled, RunDropped, RunFailed, RunLost, RunQueued, RunSucceeded

from dagwire_standalone.summary import LocationFact, RunFact

_STATUS: Final = {
    RunSucceeded.TYPE: "SUCCESS",
    RunFailed.TYPE: "FAILURE",
    RunLost.TYPE: "FAILURE",
    RunCanceled.TYPE: "CANCELED",
    RunDropped.TYPE: "CANCELED",
}
_PAUSE_SECONDS = 0.05


class Dagit:
    """A client of one Dagit."""

    def __init__(self, url: str) -> None:
        """Talk to the Dagit at ``url``."""
        self._http = httpx.AsyncClient(base_url=url, timeout=10.0, headers={"X-Dagwire-Client": "cli"}, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ready(self) -> None:
        """Return when Dagit reaches the bus and the database."""
        while True:
            try:
                checks = (await self._http.get("/readyz")).json()["checks"]
                if all(check == "ok" for check in checks.values()):
                    return
            except httpx.TransportError:
                pass  # not listening yet
            await asyncio.sleep(_PAUSE_SECONDS)

    async def locations(self, names: Sequence[str]) -> list[LocationFact]:
        """Return what each code location holds, when all have answered."""
        while True:
            answer = (await self._http.get("/api/v1/locations")).raise_for_status().json()
            by_name = {location["name"]: location for location in answer}
            if all(by_name.get(name, {}).get("status") in {"LOADED", "FAILED"} for name in names):
                return [_fact(by_name[name]) for name in names]
            await asyncio.sleep(_PAUSE_SECONDS)

    async def launch(self, location: str, job: str, *, key: str) -> str:
        """Request a run of a job with its first preset, and return its id.

        Raises:
            LookupError: the location has no such job.
        """
        jobs = (await self._http.get("/api/v1/jobs")).raise_for_status().json()
        found = next((one for one in jobs if one["location"] == location and one["name"] == job), None)
        if found is None:
            raise LookupError(f"{location} has no job {job}")
        body = {"location": location, "repository": found["repository"], "job": job}
        if found["presets"]:
            body["preset"] = found["presets"][0]
        answer = await self._http.post("/api/v1/runs", json=body, headers={"Idempotency-Key": key})
        return str(answer.raise_for_status().json()["run_id"])

    async def ended(self, run_id: str, job: str) -> RunFact:
        """Follow the run's feed to its terminal event, across reconnects, and return how it ended."""
        queued_at: datetime | None = None
        while True:
            async with self._http.stream("GET", f"/api/v1/feed?run={run_id}", timeout=None) as feed:
                async for line in feed.aiter_lines():
                    event = json.loads(line[5:]).get("event", {}) if line.startswith("data:") else {}
                    at = datetime.fromisoformat(event["time"]) if event else None
                    if event.get("type") == RunQueued.TYPE:
                        queued_at = at
                    if status := _STATUS.get(event.get("type", "")):
                        seconds = (at - queued_at).total_seconds() if at and queued_at else None
                        return RunFact(run_id, job, status, seconds, event["data"].get("message"))


def _fact(location: dict[str, object]) -> LocationFact:
    repositories: list[dict[str, list[str]]] = location["repositories"]  # type: ignore[assignment] # JSON
    error: dict[str, str] | None = location["error"]  # type: ignore[assignment] # JSON
    return LocationFact(
        name=str(location["name"]),
        jobs=sum(len(repository["jobs"]) for repository in repositories),
        schedules=sum(len(repository["schedules"]) for repository in repositories),
        error=error["message"] if error else None,
    )
