"""Waits until a run is over, telling its steps on stderr meanwhile."""

import time
from dataclasses import dataclass
from typing import Any, Final

from dagwire.cli.dagit import Dagit
from dagwire.cli.exits import CommandError, ExitCode
from dagwire.cli.feed import TERMINAL, Follower
from dagwire.cli.narrative import line
from dagwire.cli.tables import note

_KINDS: Final = ("launch", "run", "step")
_EXITS: Final = {"SUCCESS": ExitCode.OK, "FAILURE": ExitCode.RUN_FAILED, "CANCELED": ExitCode.RUN_CANCELED}
_RECORDED_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended."""

    dagit: Dagit
    run_id: str
    status: str

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        return _EXITS[self.status]

    def run(self) -> Any:
        """Return the run as it is recorded; what the feed said a moment ago may take a moment to be there."""
        give_up = time.monotonic() + _RECORDED_SECONDS
        while True:
            try:
                run = self.dagit.get("runs", self.run_id)
                if run["ended_at"] is not None or time.monotonic() > give_up:
                    return run
            except CommandError as error:
                if error.exit_code != ExitCode.NOT_FOUND or time.monotonic() > give_up:
                    raise
            time.sleep(0.1)


def wait_for(dagit: Dagit, run_id: str, *, deadline: float | None = None) -> Ending:
    """Follow a run to its end.

    Raises:
        CommandError: the server stays away, or the deadline passed first.
    """
    follower = Follower(dagit, run_id, tell=note)
    for item in follower.items(kinds=_KINDS, deadline=deadline):
        note(line(item["event"]))
        ending = TERMINAL.get(item["event"]["type"])
        if ending is not None:
            return Ending(dagit, run_id, ending)
    raise AssertionError("a feed has no end")  # pragma: no cover
