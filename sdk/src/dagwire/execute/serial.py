"""The in-process executor: one step after the other, in this thread."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from dagwire_shared.events import StepSkipped

from dagwire.execute.environment import Emit, Environment
from dagwire.execute.logs import CurrentStep, captured_logging, run_logger
from dagwire.execute.progress import Outcome, Progress, Skip
from dagwire.execute.resources import needed_by, opened_resources
from dagwire.execute.step import StepExecution
from dagwire.execute.streams import Capture

Capturing = Callable[[Emit, CurrentStep], AbstractContextManager[Capture]]


def run_serially(
    environment: Environment, capturing: Capturing, on_error: Callable[[BaseException], None] | None = None
) -> dict[str, Outcome]:
    """Execute every step that can run and return how each ended.

    Args:
        environment: the run.
        capturing: how stdout and stderr become events.
        on_error: is told what a step raised.
    """
    emit, current = environment.emit, CurrentStep()
    progress = Progress(environment.plan)
    log = run_logger(emit, current)
    with ExitStack() as stack:
        stack.enter_context(captured_logging(emit, current))
        capture = stack.enter_context(capturing(emit, current))
        resources = stack.enter_context(
            opened_resources(environment, needed_by(environment.plan.steps, environment), log)
        )
        capture.settle()
        while len(progress.outcomes) < len(environment.plan.steps):
            for item in progress.advance():
                if isinstance(item, Skip):
                    emit(StepSkipped(step_key=item.step.key, reason=item.reason))
                    continue
                current.key = item.key
                execution = StepExecution(item, environment, resources, log, progress.available, capture.settle)
                try:
                    progress.settle(item.key, execution.execute())
                finally:
                    current.key = None
                    if execution.raised is not None and on_error is not None:
                        on_error(execution.raised)
    return progress.outcomes
