"""What run workers may do on the bus: all of them, as an account, and each for its run. Pure data: it grants nothing.

An account of their own, since JetStream answers wherever a request says, and asks for no permission there: within one
account a worker could have its acknowledgements, and what it stored before, published under any subject.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dagwire_shared.ids import RunId
from dagwire_shared.streams import CONTROL, EVENTS
from dagwire_shared.subjects import ROOT, Kind, control_subject, event_subject, kind_filter

from dagwire_launcher.credentials import inbox_of


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a user may publish and subscribe to; everything else is denied."""

    publish: Sequence[str]
    subscribe: Sequence[str]
    """A queue group may follow a subject, after a blank."""
    answers: bool = False
    """Whether it may answer what it is asked, once, wherever the answer is to go."""


WORKERS_WORDS: Final = (Kind.RUN, Kind.STEP, Kind.DATA, Kind.LOG, Kind.ENGINE, Kind.ORDER)
"""What a run's worker is the writer of (ADR 0003)."""

HEARD: Final = (kind_filter(Kind.WORKER), CONTROL.subject)
"""What comes from the services' account to that of the workers."""

ACCOUNT: Final = "WORKERS"
"""The account of run workers on the NATS server."""

_GET: Final = "$JS.API.DIRECT.GET"

ASKED: Final = (
    *(kind_filter(kind) for kind in WORKERS_WORDS),
    *(f"{_GET}.{EVENTS.name}.{kind_filter(kind)}" for kind in (*WORKERS_WORDS, Kind.LAUNCH, Kind.WORKER)),
    f"{_GET}.{CONTROL.name}.{CONTROL.subject}",
)
"""What goes from the workers' account to that of the services, and is answered."""


def run_permissions(run_id: RunId) -> Permissions:
    """Return what the worker of a run, and the workers of its steps, may do: all of it concerns this run.

    Its own words may be said, and the last one of each kind be read (also the launcher's: a run that was dropped is not
    begun). What is ordered of it, and what becomes of its steps' workers, may be heard. Below ``step`` its processes
    talk to each other.
    """
    inbox, steps = f"{inbox_of(run_id)}.>", f"{ROOT}.step.{run_id}.>"
    events = [event_subject(run_id, kind) for kind in WORKERS_WORDS]
    worker = event_subject(run_id, Kind.WORKER)
    readable = [*events, event_subject(run_id, Kind.LAUNCH), worker]
    return Permissions(
        publish=[
            *events,
            *(f"{_GET}.{EVENTS.name}.{subject}" for subject in readable),
            f"{_GET}.{CONTROL.name}.{control_subject(run_id)}",
            steps,
            inbox,
        ],
        subscribe=[inbox, control_subject(run_id), steps, worker],
    )
