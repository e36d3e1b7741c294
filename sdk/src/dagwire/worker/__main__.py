"""``python -m dagwire.worker``: takes the run as soon as it can, then loads what runs it.

The order is the point. A worker that has the connection alone takes its run 0.2 s before it has imported the models,
the SDK and the user's code; so those come second.
"""

import atexit
import faulthandler
import gc
import json
import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NoReturn

# What is imported lives as long as the process: looking through it for garbage would be a tenth of the start.
gc.disable()
# Pydantic would look through every installed package for plugins: another tenth. Who has one sets this to "none".
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from dagwire.reaper import stand_apart  # noqa: E402

if __name__ == "__main__":
    stand_apart()  # early: the first process of a pod keeps in memory what was imported by now

from dagwire_shared.bus import Bus  # noqa: E402
from dagwire_shared.errors import DagwireError, MalformedMessageError  # noqa: E402
from dagwire_shared.ids import RunId, check_run_id, check_step_key  # noqa: E402
from dagwire_shared.logs import TextFormatter  # noqa: E402

from dagwire.worker.claim import Claim, claim  # noqa: E402
from dagwire.worker.codes import EXIT_USAGE  # noqa: E402
from dagwire.worker.launch import launch_message  # noqa: E402
from dagwire.worker.link import Link, Take, connected  # noqa: E402
from dagwire.worker.settings import Settings, load_settings  # noqa: E402
from dagwire.worker.steps.hello import Absence, Approach, StepName  # noqa: E402

_OWN_LOGGERS: Final = ("dagwire", "dagwire_shared", "nats")
_QUICK_ANSWER_SECONDS: Final = 0.05
_SWITCH_SECONDS: Final = 0.0005
"""How long one thread may keep the other from running, while the claim is on its way: ten times less than usual."""


def main() -> int:
    """Run one job, or one step of a run, and return the exit code."""
    early: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: early.append(number))
    try:
        settings = load_settings(os.environ)
        message = launch_message(_launch_file(sys.argv[1:]), os.environ)
        run_id, traceparent = _read_envelope(message)
        approach = _approach(run_id, sys.argv[1:], settings)
    except DagwireError as error:
        print(f"dagwire.worker: {error}", file=sys.stderr)  # noqa: T201 -- there is no log before settings
        return EXIT_USAGE
    _log_apart(settings.log_level)
    link = _start(settings, run_id, approach.claim if approach is not None else _claim(run_id, traceparent))
    if link.answered.acquire(timeout=_QUICK_ANSWER_SECONDS):
        code = link.code_without_run()
        if code is not None:
            return code
        link.answered.release()
    # Now that the run is taken, or the bus takes its time.
    from dagwire.worker.arguments import read_arguments  # noqa: PLC0415
    from dagwire.worker.run import Run  # noqa: PLC0415

    arguments = read_arguments(sys.argv[1:])
    if approach is not None:
        from dagwire.worker.step import StepRun  # noqa: PLC0415

        gc.freeze()
        gc.enable()
        return StepRun(run_id, message, approach, arguments, settings).main(link, asked_to_end=bool(early))
    gc.freeze()
    gc.enable()
    run = Run(run_id, message, arguments, settings, traceparent=traceparent)
    return run.main(link, asked_to_end=bool(early))


def _option(arguments: Sequence[str], name: str) -> str | None:
    return next((after for word, after in pairwise(arguments) if word == name), None)


def _launch_file(arguments: Sequence[str]) -> Path | None:
    file = _option(arguments, "--launch")
    return None if file is None else Path(file)


def _approach(run_id: RunId, arguments: Sequence[str], settings: Settings) -> Approach | None:
    """Return the way to the step that the command line names; None: it names none, and the whole run is meant.

    Raises:
        InvalidIdentifierError: it is no step key.
        MalformedMessageError: the attempt is no number.
    """
    step_key = _option(arguments, "--step")
    if step_key is None:
        return None
    attempt = _option(arguments, "--attempt") or "1"
    if not attempt.isdecimal():
        raise MalformedMessageError(f"--attempt {attempt!r} is no number")
    who = StepName(check_step_key(step_key), int(attempt), uuid.uuid4().hex)
    return Approach(run_id, who, Absence(settings.step_absence_seconds))


def _read_envelope(message: bytes) -> tuple[RunId, str | None]:
    """Return the run and the trace that the launch message names; the rest of it is read later.

    Raises:
        MalformedMessageError: it is no message about a run.
    """
    try:
        envelope = json.loads(message)
        return check_run_id(envelope["subject"]), envelope.get("traceparent")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedMessageError(f"the launch message is no message about a run: {error}") from error


def _claim(run_id: RunId, traceparent: str | None) -> Take:
    async def take(bus: Bus) -> Claim:
        return await claim(bus.streams, run_id, worker=uuid.uuid4().hex, traceparent=traceparent)

    return take


def _start(settings: Settings, run_id: RunId, claiming: Take) -> Link:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)

    async def take(bus: Bus) -> Claim:
        try:
            return await claiming(bus)
        finally:
            sys.setswitchinterval(usual)

    link = Link(lambda: connected(settings, run_id), take)
    link.start()
    return link


def _log_apart(level: str) -> None:
    """Write the worker's own log to where standard error went first: what user code writes becomes events."""
    stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    faulthandler.enable(stream)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter())
    for name in _OWN_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False


def leave(code: int) -> NoReturn:
    """End the process: exit handlers run, threads that user code left behind are not waited for.

    Taking the interpreter apart would cost 40 ms of CPU in every run, for nothing.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 -- the one way to run them before ``_exit``
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
