"""Executes the steps that this process is given, one at a time: the same in a step process and in a step's pod."""

import os
import time
from collections.abc import Mapping
from typing import Final

from dagwire_shared.events import StepFailed, StepStarted

from dagwire.errors import error_info
from dagwire.execute.environment import Emit, Environment
from dagwire.execute.logs import CurrentStep, run_logger
from dagwire.execute.messages import Assignment
from dagwire.execute.resources import needed_by, opened_resources
from dagwire.execute.step import StepExecution
from dagwire.execute.streams import Capture
from dagwire.plan import FromOutput, Step


class AssignedSteps:
    """What executes the steps of one run in this process."""

    def __init__(self, environment: Environment, current: CurrentStep, capture: Capture) -> None:
        self._environment: Final = environment
        self._current: Final = current
        self._capture: Final = capture
        self._begun = False

    def execute(self, assignment: Assignment) -> None:
        """Execute one step; what goes wrong around it fails it too."""
        step = self._environment.plan.step(assignment.step_key)
        self._current.key = step.key
        self._begun = False
        started = time.monotonic()
        try:
            self._execute(step, assignment.produced)
        except BaseException as error:  # noqa: BLE001 -- the boundary: the step has failed, the process may go on
            if not self._begun:
                self._capture.settle()
                fail(self._environment.emit, step.key, error, time.monotonic() - started)
        finally:
            self._capture.settle()  # what the resources wrote at their end belongs to the step
            self._current.key = None

    def _execute(self, step: Step, produced: Mapping[str, frozenset[str]]) -> None:
        log = run_logger(self._environment.emit, self._current)

        def available(source: FromOutput) -> bool:
            return source.output in produced.get(source.step, ())

        keys = needed_by([step], self._environment)
        with opened_resources(self._environment, keys, log) as resources:
            self._begun = True  # from here on the execution itself says how the step ends
            StepExecution(step, self._environment, resources, log, available, self._capture.settle).execute()


def fail(emit: Emit, step_key: str, error: BaseException, seconds: float) -> None:
    """Say that a step failed before it began."""
    emit(StepStarted(step_key=step_key, pid=os.getpid()))
    emit(StepFailed(step_key=step_key, error=error_info(error), seconds=seconds))
