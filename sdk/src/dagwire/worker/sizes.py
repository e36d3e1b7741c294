"""Makes an event fit the bus: what is too large for one message is cut, and says so. No I/O."""

from typing import Any, Final

from dagwire_shared.events import (
    AssetMaterialized,
    EngineNoted,
    ErrorInfo,
    Event,
    ExpectationChecked,
    LogLevel,
    LogWritten,
    OutputProduced,
    RunFailed,
    RunPlanned,
    StepFailed,
)

LARGEST_EVENT: Final = 900_000
"""In bytes. A server takes one mebibyte by default, subject and headers included."""

_TEXT: Final = 64_000
"""Characters that are kept of a text; in UTF-8 and JSON one may take up to six bytes."""
_FRAMES: Final = 20
_CAUSES: Final = 4


def cut_to_fit(event: Event, size: int) -> Event:
    """Return what to say instead of an event that takes ``size`` bytes, too many for one message."""
    note = f" … [cut: the event had {size} bytes, a message takes {LARGEST_EVENT}]"
    return event.model_copy(update=update) if (update := _cuts(event, note)) else left_out(event, size)


def _cuts(event: Event, note: str) -> dict[str, Any]:
    """Return the fields to replace; none: the event cannot be cut."""
    cuts: dict[str, Any] = {}
    match event:
        case LogWritten() | EngineNoted():
            cuts = {"message": event.message[:_TEXT] + note, "fields": {}}
        case StepFailed():
            cuts = {"error": _cut_error(event.error, note)}
        case RunFailed():
            error = None if event.error is None else _cut_error(event.error, note)
            cuts = {"error": error, "message": event.message[:_TEXT]}
        case OutputProduced() | AssetMaterialized() | ExpectationChecked():
            cuts = {"metadata": {}}
        case RunPlanned():
            cuts = {"run_config": {}}
        case _:
            pass
    return cuts


def left_out(event: Event, size: int) -> EngineNoted:
    """Return the note that takes the place of an event that cannot be cut to fit."""
    return EngineNoted(
        level=LogLevel.ERROR,
        message=f"An event of type {event.TYPE} is left out: it has {size} bytes, and the bus takes {LARGEST_EVENT}.",
        step_key=getattr(event, "step_key", None),
    )


def _cut_error(error: ErrorInfo, note: str, depth: int = 0) -> ErrorInfo:
    cause = None if error.cause is None or depth == _CAUSES else _cut_error(error.cause, "", depth + 1)
    stack = [frame[:1000] for frame in error.stack[:_FRAMES]]
    return error.model_copy(update={"message": error.message[: _TEXT // 8] + note, "stack": stack, "cause": cause})
