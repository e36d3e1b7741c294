"""What `helm test` runs: waits until Dagit is ready and every code location has loaded; else says what is missing."""

import http.client
import json
import sys
import time
from http import HTTPStatus
from typing import Any

AGAIN_SECONDS = 1.0
ANSWER_SECONDS = 10.0


def ask(dagit: str, path: str) -> tuple[int, Any]:
    """Return the status and the body of an answer; 0 and why, if there is none."""
    connection = http.client.HTTPConnection(dagit, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return 0, repr(error)
    finally:
        connection.close()


def fault(dagit: str) -> str | None:
    """Return what is not as it should be, or None."""
    status, ready = ask(dagit, "/readyz")
    if status != HTTPStatus.OK:
        return f"Dagit at {dagit} is not ready ({status}): {ready}"
    status, locations = ask(dagit, "/api/v1/locations")
    if status != HTTPStatus.OK:
        return f"Dagit at {dagit} does not list its code locations ({status}): {locations}"
    missing = [one for one in locations if one["status"] != "LOADED"]
    if missing:
        return "code locations have not loaded:\n" + "\n".join(
            f"  {one['name']}: {one['status']} {one['error'] or ''}" for one in missing
        )
    names = ", ".join(one["name"] for one in locations)
    sys.stdout.write(f"Dagit is ready: {json.dumps(ready)}\ncode locations: {names or 'none'}\n")
    return None


def main(dagit: str, seconds: float) -> None:
    """Ask until all is well, and give up after a while."""
    deadline = time.monotonic() + seconds
    while (wrong := fault(dagit)) is not None:
        if time.monotonic() > deadline:
            sys.exit(f"{wrong}\ngiven up after {seconds:.0f} s")
        time.sleep(AGAIN_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
