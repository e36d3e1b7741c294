"""The event types: each defined once, here re-exported, joined in ``Event`` and found by type name.

To add one: write the class in its family's module, and add it to ``Event``. The subject, the codec, the
JSON Schema, the AsyncAPI document and the docs page follow from it; a test asks for a golden sample and a
projection decision.
"""

from typing import Final, get_args

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.data import AssetMaterialized, ExpectationChecked, InputLoaded, OutputProduced
from dagwire_shared.events.launch import RunCanceling, RunDropped, RunLaunched, RunLost, RunQueued
from dagwire_shared.events.log import EngineNoted, LogWritten
from dagwire_shared.events.order import StepWorkerReleased, StepWorkerRequested
from dagwire_shared.events.run import RunCanceled, RunFailed, RunPlanned, RunStarted, RunSucceeded
from dagwire_shared.events.step import StepFailed, StepSkipped, StepStarted, StepSucceeded
from dagwire_shared.events.tick import ScheduleSwitched, TickFailed, TickRequested, TickSkipped
from dagwire_shared.events.values import (
    ErrorInfo,
    FailureCause,
    LogLevel,
    Metadata,
    Origin,
    PlannedStep,
    RequestedBy,
)
from dagwire_shared.events.worker import StepWorkerEnded, WorkerDelayed

Event = (
    RunQueued
    | RunLaunched
    | RunCanceling
    | RunDropped
    | RunLost
    | WorkerDelayed
    | StepWorkerRequested
    | StepWorkerReleased
    | StepWorkerEnded
    | RunStarted
    | RunPlanned
    | RunSucceeded
    | RunFailed
    | RunCanceled
    | StepStarted
    | StepSucceeded
    | StepFailed
    | StepSkipped
    | InputLoaded
    | OutputProduced
    | AssetMaterialized
    | ExpectationChecked
    | LogWritten
    | EngineNoted
    | TickRequested
    | TickSkipped
    | TickFailed
    | ScheduleSwitched
)

EVENT_TYPES: Final[dict[str, type[Event]]] = {cls.TYPE: cls for cls in get_args(Event)}
"""Every known event class by its CloudEvents type."""

__all__ = [
    "EVENT_TYPES",
    "AssetMaterialized",
    "EngineNoted",
    "ErrorInfo",
    "Event",
    "EventBase",
    "ExpectationChecked",
    "FailureCause",
    "InputLoaded",
    "LogLevel",
    "LogWritten",
    "Metadata",
    "Origin",
    "OutputProduced",
    "PlannedStep",
    "RequestedBy",
    "RunCanceled",
    "RunCanceling",
    "RunDropped",
    "RunFailed",
    "RunLaunched",
    "RunLost",
    "RunPlanned",
    "RunQueued",
    "RunStarted",
    "RunSucceeded",
    "ScheduleSwitched",
    "StepFailed",
    "StepSkipped",
    "StepStarted",
    "StepSucceeded",
    "StepWorkerEnded",
    "StepWorkerReleased",
    "StepWorkerRequested",
    "TickFailed",
    "TickRequested",
    "TickSkipped",
    "WorkerDelayed",
]
